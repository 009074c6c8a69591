"""Label files of colours: which class a colour means."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from afformer.counts import id_counts
from afformer.datasets.convention import IGNORE, Dataset
from afformer.errors import ImageError
from afformer.spec import RGB
from afformer.wording import listed

_BLACK: RGB = (0, 0, 0)
_SEVERAL = -1
"""In place of a class: the colour is that of several."""
_LISTED = 5

Classes = npt.NDArray[np.uint8]


def classes_of(dataset: Dataset, colours: npt.NDArray[np.uint8], where: str) -> Classes:
    """The class of every pixel of a coloured label; black is ignored unless it is the colour of a class.

    Args:
        dataset: Whose colours they are.
        colours: `(..., 3)` uint8 RGB.
        where: Names the file in errors.

    Returns:
        `(...)` uint8: class ids, or `IGNORE`.

    Raises:
        ImageError: There are colours of no class, or of several.
    """
    codes, meanings = _table(dataset)
    packed = _packed(colours)
    found = np.searchsorted(codes, packed).clip(max=len(codes) - 1)
    classes = np.where(codes[found] == packed, meanings[found], _SEVERAL)
    if (classes == _SEVERAL).any():
        strange = [f"#{code:06x}" for code in np.unique(packed[classes == _SEVERAL]).tolist()]
        verb = "do" if len(strange) > 1 else "does"
        raise ImageError(
            f"{where}: stores colours, and {listed(strange, _LISTED)} {verb} not mean exactly one class of "
            f"{dataset.title}; expected its palette, or class ids in a one-channel or indexed PNG"
        )
    return classes.astype(np.uint8)


def index_classes(dataset: Dataset, palette: npt.NDArray[np.uint8], ids: npt.NDArray[np.integer]) -> Classes | None:
    """The class of every pixel of an indexed PNG by the colours of its palette; None if they do not tell.

    They do if each colour that is used means one class, and the palette is that of the data set: it has all its
    colours, or none that the data set lacks. Palettes of other data sets share a colour or two with ours.

    Args:
        dataset: Whose colours they are.
        palette: `(n, 3)` uint8 RGB.
        ids: `(H, W)` indices.
    """
    used = np.flatnonzero(id_counts(ids, int(ids.max()) + 1))
    if used[-1] >= len(palette):
        return None
    codes, meanings = _table(dataset)
    known = {code for code, meaning in zip(codes.tolist(), meanings.tolist(), strict=True) if meaning != _SEVERAL}
    there = set(_packed(palette).tolist())
    own = set(_packed(np.array(dataset.palette, np.uint8)).tolist())
    if not set(_packed(palette[used]).tolist()) <= known or not (own <= there or there <= known):
        return None
    classes = np.full(len(palette), IGNORE, np.uint8)
    classes[used] = classes_of(dataset, palette[used], "palette")
    return classes[ids] if (classes[used] != IGNORE).any() else None


def _packed(colours: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    red, green, blue = np.moveaxis(colours.astype(np.int64), -1, 0)
    return np.asarray((red << 16) | (green << 8) | blue, np.int64)


@functools.lru_cache(maxsize=8)
def _table(dataset: Dataset) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sorted codes of colours, and what each means: a class, `IGNORE` or `_SEVERAL`."""
    meanings: dict[RGB, int] = {}
    for index, colour in enumerate(dataset.palette):
        meanings[colour] = _SEVERAL if colour in meanings else index
    for colour, index in (*dataset.other_colours, (_BLACK, IGNORE)):
        meanings.setdefault(colour, index)
    codes = _packed(np.array(list(meanings), np.uint8))
    order = np.argsort(codes)
    return codes[order], np.array(list(meanings.values()))[order]

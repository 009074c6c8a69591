"""What a data set is: class names, colours, and the meaning of the ids in its label files."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from afformer.errors import ImageError
from afformer.spec import RGB
from afformer.wording import listed

if TYPE_CHECKING:  # the commands list the data sets in their help, which must not load numpy
    import numpy as np
    import numpy.typing as npt

IGNORE = 255
"""Train id of a pixel that is not counted."""

NO_ID = -1
"""In place of an id, for a class to which no single id in the files belongs."""

_UNKNOWN = -1
_LISTED = 5


@dataclasses.dataclass(frozen=True)
class LabelFiles:
    """One kind of label file that a data set comes with.

    Attributes:
        suffix: End of such a file's name, before its extension; empty if any name will do.
        ids: Id in the file for each class, in the order of the classes.
        ignored: Ids in the file that mean no class; they win over `ids`.
        others: More ids in the file, each with its class.
        coloured: Whether files with three channels hold the data set's colours even where all three are equal.
        stated: Whether the user said what the ids mean, so that the colours of an indexed PNG do not count.
    """

    suffix: str
    ids: tuple[int, ...]
    ignored: tuple[int, ...] = (IGNORE,)
    others: tuple[tuple[int, int], ...] = ()
    coloured: bool = False
    stated: bool = False

    def train_ids(self, label: npt.NDArray[np.unsignedinteger], where: str = "label") -> npt.NDArray[np.uint8]:
        """The class of every pixel.

        Args:
            label: `(H, W)` uint8 or uint16, the ids of the file.
            where: Names the file in errors.

        Returns:
            `(H, W)` uint8: the index of the class, or `IGNORE`.

        Raises:
            ImageError: The label holds ids that this convention does not know, or there are too many classes.
        """
        import numpy as np

        if len(self.ids) > IGNORE:
            raise ImageError(f"{where}: labels tell at most {IGNORE} classes apart, but there are {len(self.ids)}")
        classes: npt.NDArray[np.int16] = _lookup(self.ids, self.ignored, self.others)[label]
        if classes.size and int(classes.min()) == _UNKNOWN:
            found = np.unique(label[classes == _UNKNOWN]).tolist()
            known = tuple({*self.ids, *(number for number, _ in self.others)} - {*self.ignored, NO_ID})
            ignored = f", or {_ranges(self.ignored)} to ignore" if self.ignored else ""
            raise ImageError(
                f"{where}: holds {_some(found)}, but expected {_ranges(known)} for {len(self.ids)} classes{ignored}; "
                "name the data set that the labels belong to in `dataset`, or say what the ids mean with "
                "`label_offset`, `label_map` or `ignore_label`"
            )
        return classes.astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Names, colours and label conventions of one data set.

    Attributes:
        name: Short name, as used on the command line.
        title: Name for people.
        classes: Class names; the index is the class id.
        palette: One RGB colour (0..255) per class, as commonly drawn; not always unique.
        labels: The kinds of label files, the preferred one first.
        image_suffix: End of the pictures' names, before the extension, that the labels' names lack.
        other_colours: More colours of label files, each with its class or `IGNORE`.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    palette: tuple[RGB, ...]
    labels: tuple[LabelFiles, ...]
    image_suffix: str = ""
    other_colours: tuple[tuple[RGB, int], ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def train_ids(self, label: npt.NDArray[np.unsignedinteger], path: Path | None = None) -> npt.NDArray[np.uint8]:
        """The class of every pixel of a label: `(H, W)` uint8 or uint16 -> `(H, W)` uint8, `IGNORE` for none.

        Args:
            label: The ids of the file.
            path: The label's file, whose name decides which of the data set's conventions applies; None takes the
                first one.

        Raises:
            ImageError: The label holds ids that the convention does not know.
        """
        kind = self.labels[0] if path is None else self.label_files(path)
        return kind.train_ids(label, "label" if path is None else str(path))

    def label_files(self, path: Path) -> LabelFiles:
        """The kind of label file that `path` is, by its name.

        Raises:
            ImageError: This data set has no kind of files with such a name.
        """
        fitting = [kind for kind in self.labels if path.stem.endswith(kind.suffix)]
        kind = max(fitting, key=lambda kind: len(kind.suffix), default=None)
        if kind is None:
            raise ImageError(f"{path}: is not a label file of {self.title}; expected a name like {self.label_names()}")
        return kind

    def label_names(self) -> str:
        """Names of label files, for people."""
        return " or ".join(f"NAME{kind.suffix}.png" for kind in self.labels)


@functools.lru_cache(maxsize=16)
def _lookup(
    ids: tuple[int, ...], ignored: tuple[int, ...], others: tuple[tuple[int, int], ...]
) -> npt.NDArray[np.int16]:
    """`(65536,)` int16: the class of each id, `IGNORE`, or `_UNKNOWN`."""
    import numpy as np

    table = np.full(1 << 16, _UNKNOWN, np.int16)
    for index, number in enumerate(ids):
        if number != NO_ID:
            table[number] = index
    for number, index in others:
        table[number] = index
    table[list(ignored)] = IGNORE
    return table


def _some(ids: list[int]) -> str:
    return f"{'ids' if len(ids) > 1 else 'the id'} {listed([*map(str, ids)], _LISTED)}"


def _ranges(ids: tuple[int, ...]) -> str:
    """`(1, 2, 3, 7)` -> `1..3, 7`."""
    parts: list[list[int]] = []
    for value in sorted(ids):
        if parts and value == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], value]
        else:
            parts.append([value])
    return ", ".join("..".join(map(str, part)) for part in parts)

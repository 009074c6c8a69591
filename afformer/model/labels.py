"""Class names and colours: what a checkpoint file says, and what the caller says.

A number of classes is no name: 19 classes of one's own are not Cityscapes'. So names come from the caller, the file, or
the data set that the file's configuration names; else the classes are "class 0", "class 1" and so on, which is said.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from afformer import datasets
from afformer.datasets import Dataset
from afformer.errors import CheckpointError
from afformer.model.choices import CheckpointOptions
from afformer.model.config_text import Config, entries, key_text
from afformer.model.label_files import colours_in_file, names_in_file
from afformer.model.reading.numpy_values import NumpyArray
from afformer.spec import RGB

_NAME_KEYS = ("classes", "class_names", "names", "id2label", "label2id", "label_names", "labels")
_COLOUR_KEYS = ("palette", "colors", "colours", "color_map", "colormap")
_TRAINERS_NAMES = {
    "cityscapesdataset": "cityscapes",
    "ade20kdataset": "ade20k",
    "ade20k": "ade20k",
    "cocostuffdataset": "coco_stuff",
    "cocostuff10kdataset": "coco_stuff10k",
    "camviddataset": "camvid",
}
"""Data sets as `dataset_type` of mmseg calls them."""


@dataclasses.dataclass(frozen=True)
class Found:
    """What a file says of its classes.

    Attributes:
        classes: Names, or None.
        palette: Colours, or None.
        dataset: The known data set that the configuration names and that has as many classes, or None.
        unfit: Why names of the file were left out; empty if they were not.
    """

    classes: tuple[str, ...] | None
    palette: tuple[RGB, ...] | None
    dataset: str | None = None
    unfit: str = ""


@dataclasses.dataclass(frozen=True)
class Labels:
    """Names and colours of a model, the label convention, and where they are from, for people."""

    classes: tuple[str, ...]
    palette: tuple[RGB, ...]
    dataset: str
    origin: str


def found_labels(said: Mapping[str, Any], config: Config, count: int, *, binary: bool = False) -> Found:
    """Reads our own metadata, mmcv's `meta`, mmengine's `dataset_meta`, and configurations.

    Files of other tools may contain anything; what is not names or colours counts as missing.

    Args:
        said: What the file says of itself, keys in lower case.
        config: What it says of its training.
        count: Number of classes.
        binary: Whether these are the two classes of a one-channel head, of which a file may name only the foreground.
    """
    classes: tuple[str, ...] | None = None
    palette: tuple[RGB, ...] | None = None
    unfit = ""
    for values in (said, *_lowered(config)):
        names = next((n for key in _NAME_KEYS if (n := names_in(values.get(key)))), None)
        if names and binary and len(names) == 1:
            names = ("background", *names)
        if names and not classes:
            classes = names if len(names) == count else None
            unfit = "" if classes else unfit or f"its {len(names)} names do not fit {count} classes"
        colours = next((c for key in _COLOUR_KEYS if (c := colours_in(values.get(key)))), None)
        if colours and binary and len(colours) == 1:
            colours = ((0, 0, 0), *colours)
        palette = palette or (colours if colours and len(colours) == count else None)
    return Found(classes, palette, _trained_on(config, count), "" if classes else unfit)


def decide_labels(found: Found, count: int, options: CheckpointOptions, path: Path) -> Labels:
    """Names, colours and label convention of a model.

    Raises:
        CheckpointError: What the caller names has another number of classes.
    """
    labels = _named(found, count, options, path)
    if options.palette:
        colours = colours_in_file(options.palette)
        if len(colours) != count:
            raise CheckpointError(
                f"{options.palette}: has {len(colours)} colours, but the checkpoint has {count} classes; give each one"
            )
        labels = dataclasses.replace(
            labels, palette=colours, origin=f"{labels.origin}; colours from {options.palette.name}"
        )
    return labels


def _named(found: Found, count: int, options: CheckpointOptions, path: Path) -> Labels:
    if options.dataset:
        return _of_dataset(options.dataset, count, f"those of {options.dataset}, as `dataset` says", path)
    spread = datasets.generic(count)
    if options.classes:
        names, colours = names_in_file(options.classes)
        if len(names) != count:
            raise CheckpointError(
                f"{options.classes}: names {len(names)} classes, but the checkpoint has {count}; name one a channel"
            )
        return _own_names(names, colours or found.palette, f"from {options.classes.name}")
    if found.classes:
        return _own_names(found.classes, found.palette, "from the checkpoint")
    if found.dataset:
        return _of_dataset(found.dataset, count, f"those of {found.dataset}, which the checkpoint's config names", path)
    known = datasets.by_class_count(count)
    hint = f"; if they are those of {known.title}, say `dataset={known.name}`" if known else "; `classes` names them"
    reason = found.unfit or "the checkpoint has none"
    palette = found.palette or spread.palette
    return Labels(spread.classes, palette, "custom", f'"class 0" to "class {count - 1}", as {reason}{hint}')


def _own_names(names: tuple[str, ...], colours: tuple[RGB, ...] | None, origin: str) -> Labels:
    """Names that are those of a known data set bring its label convention, and its colours unless there are others."""
    for known in datasets.DATASETS.values():
        if tuple(map(str.lower, names)) == tuple(map(str.lower, known.classes)):
            return Labels(names, colours or known.palette, known.name, f"{origin}, the names of {known.title}")
    return Labels(names, colours or datasets.generic(len(names)).palette, "custom", origin)


def _of_dataset(name: str, count: int, origin: str, path: Path) -> Labels:
    known: Dataset = datasets.by_name(name)
    if known.num_classes != count:
        raise CheckpointError(
            f"data set {known.name} has {known.num_classes} classes, but the checkpoint has {count}; "
            "name the data set it was trained on"
        )
    return Labels(known.classes, known.palette, known.name, origin)


def names_in(values: Any) -> tuple[str, ...] | None:
    """Class names of a list, of ids to names, or of names to ids; None for anything else."""
    if isinstance(values, Mapping):
        pairs = [(key_text(key), value) for key, value in values.items()]
        if pairs and all(_is_id(value) for _, value in pairs):
            pairs = [(str(int(value)), key) for key, value in pairs]
        values = _by_id(pairs)
    fits = isinstance(values, (list, tuple)) and values and all(map(_is_name, values))
    return tuple(values) if fits else None


def _is_name(name: Any) -> bool:
    """Half characters and line ends could not be shown in a legend."""
    return isinstance(name, str) and bool(name) and name.isprintable()


def colours_in(values: Any) -> tuple[RGB, ...] | None:
    """RGB colours (0..255) of a list, of ids to colours, or of an `(n, 3)` array; None for anything else."""
    if isinstance(values, NumpyArray):
        values = None if values.array is None else values.array.tolist()
    if isinstance(values, Mapping):
        values = _by_id([(key_text(key), value) for key, value in values.items()])
    if not isinstance(values, (list, tuple)) or not values:
        return None
    colours = [_colour(value) for value in values]
    return None if None in colours else tuple(colour for colour in colours if colour)


def _by_id(pairs: list[tuple[str, Any]]) -> list[Any] | None:
    """Values in the order of their ids, if those are 0, 1, 2 and so on."""
    if not all(key.isascii() and key.isdecimal() and len(key) < 6 for key, _ in pairs):
        return None
    found = sorted((int(key), value) for key, value in pairs) if len({k for k, _ in pairs}) == len(pairs) else []
    return [value for _, value in found] if [key for key, _ in found] == list(range(len(found))) else None


def _colour(value: Any) -> RGB | None:
    if isinstance(value, NumpyArray):
        value = None if value.array is None else value.array.tolist()
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        return None
    if not all(_is_id(part) and 0 <= int(part) <= 255 for part in value):
        return None
    return (int(value[0]), int(value[1]), int(value[2]))


def _is_id(value: Any) -> bool:
    whole = isinstance(value, numbers.Integral) or (
        hasattr(value, "dtype") and getattr(value.dtype, "kind", "") in "iu"
    )
    return bool(whole) and not isinstance(value, bool)


def _lowered(config: Config) -> Iterator[dict[str, Any]]:
    for found in config.found.values():
        for entry in entries(found):
            yield {key.lower(): value for key, value in entry.values.items()}


def _trained_on(config: Config, count: int) -> str | None:
    for values in _lowered(config):
        for key in ("dataset_type", "dataset", "type"):
            name = _TRAINERS_NAMES.get(str(values.get(key)).lower()) or str(values.get(key)).lower()
            known = datasets.DATASETS.get(name)
            if known and known.num_classes == count:
                return name
    return None

"""Class names and colours: what a checkpoint file says, and what the caller says.

A number of classes names nothing: someone's own 19 classes are not those of Cityscapes. So names come from the caller,
the file, or the data set that the file's configuration names. Otherwise the classes are "class 0", "class 1" and so on,
and the result says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from afformer import datasets
from afformer.datasets import Dataset
from afformer.errors import CheckpointError
from afformer.model.choices import CheckpointOptions
from afformer.model.config_text import Config, entries, word
from afformer.model.label_files import colours_in_file, names_in_file
from afformer.model.label_forms import COLOUR_KEYS, NAME_KEYS, colours_in, is_id, names_in
from afformer.spec import RGB

T = TypeVar("T")
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
        colourless: Whether its colours cannot be read or do not fit.
    """

    classes: tuple[str, ...] | None
    palette: tuple[RGB, ...] | None
    dataset: str | None = None
    unfit: str = ""
    colourless: bool = False


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
        said: The file's metadata, keys in lower case.
        config: What it says of its training.
        count: Number of classes.
        binary: Whether these are the two classes of a one-channel head, of which a file may name only the foreground.
    """
    classes: tuple[str, ...] | None = None
    palette: tuple[RGB, ...] | None = None
    unfit, coloured = "", False
    for values in (said, *_lowered(config)):
        names = _best([names_in(values.get(key)) for key in NAME_KEYS], count)
        if names and binary and len(names) == 1:
            names = ("background", *names)
        if names and not classes:
            classes = names if len(names) == count else None
            unfit = "" if classes else unfit or _do_not_fit(len(names), count)
        elif not classes and values.get("classes") is not None and not is_id(values["classes"]):
            unfit = unfit or "its names cannot be read, or are not all different"
        colours = _best([colours_in(values.get(key), count, classes) for key in (*COLOUR_KEYS, *NAME_KEYS)], count)
        if colours and binary and len(colours) == 1:
            colours = ((0, 0, 0), *colours)
        palette = palette or (colours if colours and len(colours) == count else None)
        coloured = coloured or any(values.get(key) is not None for key in COLOUR_KEYS)
    colourless = coloured and palette is None
    return Found(classes, palette, _trained_on(config, count), "" if classes else unfit, colourless)


def _best(found: list[tuple[T, ...] | None], count: int) -> tuple[T, ...] | None:
    """The first of the right length, else the first."""
    there = [values for values in found if values]
    return next((values for values in there if len(values) == count), there[0] if there else None)


def _do_not_fit(names: int, count: int) -> str:
    return (
        f"its {names} names do not fit {count} classes" if names > 1 else f"its one name does not fit {count} classes"
    )


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
                f"{options.palette}: has {len(colours)} colours, but {path.name} has {count} classes; give each one"
            )
        labels = dataclasses.replace(
            labels, palette=colours, origin=f"{labels.origin}; colours from {options.palette.name}"
        )
    elif found.colourless:
        labels = dataclasses.replace(labels, origin=f"{labels.origin}; its colours cannot be read or do not fit")
    return labels


def _named(found: Found, count: int, options: CheckpointOptions, path: Path) -> Labels:
    if options.dataset:
        return _of_dataset(options.dataset, count, f"those of {options.dataset}, as `dataset` says", path)
    spread = datasets.generic(count)
    if options.classes:
        names, colours = names_in_file(options.classes)
        if len(names) != count:
            raise CheckpointError(
                f"{options.classes}: names {len(names)} classes, but {path.name} has {count}; name one a channel"
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
            f"data set {known.name} has {known.num_classes} classes, but {path.name} has {count}; "
            "name the data set it was trained on"
        )
    return Labels(known.classes, known.palette, known.name, origin)


def _lowered(config: Config) -> Iterator[dict[str, Any]]:
    for found in config.found.values():
        for entry in entries(found):
            yield {key.lower(): value for key, value in entry.values.items()}


def _trained_on(config: Config, count: int) -> str | None:
    for values in _lowered(config):
        for key in ("dataset_type", "dataset", "type"):
            name = _TRAINERS_NAMES.get(word(values.get(key))) or word(values.get(key))
            known = datasets.DATASETS.get(name)
            if known and known.num_classes == count:
                return name
    return None

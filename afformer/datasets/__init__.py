"""The data sets that AFFormer is trained on: class names, palettes, label conventions, folder layouts.

Names and palettes are those of the common training tools, so that checkpoints, masks and tables from there match ours.
Each file has one table.
"""

from __future__ import annotations

import colorsys
from pathlib import Path

from afformer.datasets.ade20k import ADE20K
from afformer.datasets.camvid import CAMVID
from afformer.datasets.cityscapes import CITYSCAPES
from afformer.datasets.coco_stuff import COCO_STUFF
from afformer.datasets.convention import IGNORE, Dataset, LabelFiles
from afformer.datasets.label_options import AS_THE_DATA_SET_HAS_THEM, LabelOptions, counted_from
from afformer.datasets.layout import PICTURE_EXTENSIONS, pairs, visible_files
from afformer.errors import AfformerError
from afformer.spec import RGB, ModelSpec

__all__ = [
    "ADE20K",
    "AS_THE_DATA_SET_HAS_THEM",
    "CAMVID",
    "CITYSCAPES",
    "COCO_STUFF",
    "DATASETS",
    "IGNORE",
    "PICTURE_EXTENSIONS",
    "Dataset",
    "LabelFiles",
    "LabelOptions",
    "by_class_count",
    "by_name",
    "custom",
    "for_model",
    "generic",
    "pairs",
    "visible_files",
]

DATASETS = {dataset.name: dataset for dataset in (CAMVID, CITYSCAPES, ADE20K, COCO_STUFF)}

_GOLDEN_ANGLE = 0.618033988749895
_TONES = ((0.75, 0.95), (0.55, 0.75), (0.95, 0.70), (0.40, 1.0))
"""(saturation, value) of consecutive classes, in turn."""


def by_name(name: str) -> Dataset:
    """The data set called `name`.

    Raises:
        AfformerError: There is none; the message lists those that are known.
    """
    try:
        return DATASETS[name.lower()]
    except KeyError as error:
        raise AfformerError(f"unknown data set '{name}'; known are {', '.join(DATASETS)}") from error


def by_class_count(count: int) -> Dataset | None:
    """The data set with `count` classes, if there is one."""
    return next((dataset for dataset in DATASETS.values() if dataset.num_classes == count), None)


def generic(count: int) -> Dataset:
    """A data set of `count` classes without names, in distinct colours; the ids in its labels are the class ids."""
    return custom(tuple(f"class {i}" for i in range(count)), tuple(_colour(i) for i in range(count)))


def custom(classes: tuple[str, ...], palette: tuple[RGB, ...]) -> Dataset:
    """A data set with given classes: the ids in its label files are the class ids, and 255 is ignored."""
    return Dataset("custom", "custom data", classes, palette, (LabelFiles("", tuple(range(len(classes)))),))


def for_model(
    spec: ModelSpec, name: str | None, where: Path, options: LabelOptions = AS_THE_DATA_SET_HAS_THEM
) -> Dataset:
    """The data set whose labels fit a model; one with the model's own classes if the model names no known data set.

    Args:
        spec: Of the model.
        name: Of the data set; None takes the one that the model names.
        where: The model file, for errors.
        options: What the user says about the labels' ids.

    Raises:
        AfformerError: There is no such data set, it has other classes, or the options do not fit it.
    """
    name = name or spec.dataset
    if name == "custom":
        dataset = custom(spec.classes, spec.palette)
    else:
        dataset = by_name(name)
        _check_same_classes(spec, dataset, where)
    if spec.reduce_zero_label is not None:
        dataset = counted_from(dataset, one=spec.reduce_zero_label)
    return options.applied(dataset)


def _check_same_classes(spec: ModelSpec, dataset: Dataset, where: Path) -> None:
    if dataset.num_classes != spec.num_classes:
        raise AfformerError(f"{where} has {spec.num_classes} classes, but {dataset.title} has {dataset.num_classes}")
    ours, theirs = ([name.casefold() for name in names] for names in (spec.classes, dataset.classes))
    if ours == list(generic(spec.num_classes).classes):
        return
    reordered = ours != theirs and sorted(ours) == sorted(theirs)
    if reordered or not set(ours) & set(theirs):
        index = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        raise AfformerError(
            f"{where} has other classes than {dataset.title}: class {index} is '{spec.classes[index]}' in the model "
            f"and '{dataset.classes[index]}' in the data set; say in `label_map` which class each id "
            "means, and name no data set"
        )


def _colour(index: int) -> RGB:
    """Hues in steps of the golden angle stay apart from all earlier ones; the tones differ even in greyscale."""
    saturation, value = _TONES[index % len(_TONES)]
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN_ANGLE % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)

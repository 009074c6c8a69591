"""Cityscapes: driving through 50 cities, 19 classes that count (cityscapes-dataset.com).

The data set comes with `labelIds` (34 ids); its own scripts make `labelTrainIds` (the 19 classes) from them.
"""

from __future__ import annotations

from afformer.datasets.convention import IGNORE, Dataset, LabelFiles
from afformer.spec import RGB

_TABLE: tuple[tuple[str, RGB], ...] = (
    ("road", (128, 64, 128)),
    ("sidewalk", (244, 35, 232)),
    ("building", (70, 70, 70)),
    ("wall", (102, 102, 156)),
    ("fence", (190, 153, 153)),
    ("pole", (153, 153, 153)),
    ("traffic light", (250, 170, 30)),
    ("traffic sign", (220, 220, 0)),
    ("vegetation", (107, 142, 35)),
    ("terrain", (152, 251, 152)),
    ("sky", (70, 130, 180)),
    ("person", (220, 20, 60)),
    ("rider", (255, 0, 0)),
    ("car", (0, 0, 142)),
    ("truck", (0, 0, 70)),
    ("bus", (0, 60, 100)),
    ("train", (0, 80, 100)),
    ("motorcycle", (0, 0, 230)),
    ("bicycle", (119, 11, 32)),
)

_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_OTHER_IDS = tuple(set(range(34)) - set(_LABEL_IDS))

CITYSCAPES = Dataset(
    name="cityscapes",
    title="Cityscapes",
    classes=tuple(name for name, _ in _TABLE),
    palette=tuple(colour for _, colour in _TABLE),
    labels=(
        LabelFiles("_gtFine_labelTrainIds", tuple(range(len(_TABLE)))),
        LabelFiles("_gtFine_labelIds", _LABEL_IDS, ignored=(*_OTHER_IDS, IGNORE)),
    ),
    image_suffix="_leftImg8bit",
)

"""CamVid: driving through Cambridge, 11 classes (mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid).

Labels are one-channel pictures of class ids. Copies of the data set differ in what unlabelled pixels are: 11 or 255.
"""

from __future__ import annotations

from afformer.datasets.convention import IGNORE, Dataset, LabelFiles
from afformer.spec import RGB

_TABLE: tuple[tuple[str, RGB], ...] = (
    ("Sky", (128, 128, 128)),
    ("Building", (128, 0, 0)),
    ("Pole", (192, 192, 128)),
    ("Road", (128, 64, 128)),
    ("Pavement", (60, 40, 222)),
    ("Tree", (128, 128, 0)),
    ("SignSymbol", (192, 128, 128)),
    ("Fence", (64, 64, 128)),
    ("Car", (64, 0, 128)),
    ("Pedestrian", (64, 64, 0)),
    ("Bicyclist", (0, 128, 192)),
)

CAMVID = Dataset(
    name="camvid",
    title="CamVid",
    classes=tuple(name for name, _ in _TABLE),
    palette=tuple(colour for _, colour in _TABLE),
    labels=(LabelFiles("", tuple(range(len(_TABLE))), ignored=(11, IGNORE)),),
)

"""CamVid: driving through Cambridge, 11 classes (mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid).

Labels are one-channel pictures of class ids. Copies of the data set differ in what unlabelled pixels are: 11 or 255.
The original has colours of 32 classes in files named `NAME_L.png`; they are joined to 11 as SegNet's authors did (the
table is that of MathWorks' example of semantic segmentation on CamVid).
"""

from __future__ import annotations

from afformer.datasets.convention import IGNORE, Dataset, LabelFiles
from afformer.spec import RGB

_BUILDING, _POLE, _ROAD, _PAVEMENT, _TREE, _SIGN = 1, 2, 3, 4, 5, 6
_CAR, _PEDESTRIAN, _BICYCLIST = 8, 9, 10

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

_ORIGINAL: tuple[tuple[RGB, int], ...] = (
    ((0, 0, 0), IGNORE),  # Void
    ((0, 128, 64), _BUILDING),  # Bridge
    ((64, 192, 0), _BUILDING),  # Wall
    ((64, 0, 64), _BUILDING),  # Tunnel
    ((192, 0, 128), _BUILDING),  # Archway
    ((0, 0, 64), _POLE),  # TrafficCone
    ((128, 0, 192), _ROAD),  # LaneMkgsDriv
    ((192, 0, 64), _ROAD),  # LaneMkgsNonDriv
    ((0, 0, 192), _PAVEMENT),  # Sidewalk
    ((64, 192, 128), _PAVEMENT),  # ParkingBlock
    ((128, 128, 192), _PAVEMENT),  # RoadShoulder
    ((192, 192, 0), _TREE),  # VegetationMisc
    ((128, 128, 64), _SIGN),  # Misc_Text
    ((0, 64, 64), _SIGN),  # TrafficLight
    ((64, 128, 192), _CAR),  # SUVPickupTruck
    ((192, 128, 192), _CAR),  # Truck_Bus
    ((192, 64, 128), _CAR),  # Train
    ((128, 64, 64), _CAR),  # OtherMoving
    ((192, 128, 64), _PEDESTRIAN),  # Child
    ((64, 0, 192), _PEDESTRIAN),  # CartLuggagePram
    ((64, 128, 64), _PEDESTRIAN),  # Animal
    ((192, 0, 192), _BICYCLIST),  # MotorcycleScooter
)
"""Colours of the original's classes that do not have the colour of ours."""
_IDS = tuple(range(len(_TABLE)))
_IGNORED = (11, IGNORE)

CAMVID = Dataset(
    name="camvid",
    title="CamVid",
    classes=tuple(name for name, _ in _TABLE),
    palette=tuple(colour for _, colour in _TABLE),
    labels=(LabelFiles("", _IDS, _IGNORED), LabelFiles("_L", _IDS, _IGNORED, coloured=True)),
    other_colours=_ORIGINAL,
)

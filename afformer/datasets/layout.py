"""Finds the label of every picture in the folders that data sets come in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from afformer.datasets.convention import Dataset
from afformer.errors import ImageError

PICTURE_EXTENSIONS = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".tif",
        ".tiff",
        ".webp",
        ".ppm",
        ".pgm",
        ".pnm",
        ".jp2",
        ".avif",
        ".gif",
    }
)
"""Extensions, in lower case, of files that count as pictures."""

LABEL_EXTENSIONS = frozenset({".png", ".bmp", ".tif", ".tiff"})
"""Extensions, in lower case, of files that can be labels: lossless formats."""

_LISTED = 3


def pairs(dataset: Dataset, images: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Matches the pictures under one folder with the labels under another.

    Both folders are searched with their subfolders. A picture and a label belong together if they are in the same
    subfolder and their names, without extension and without the data set's suffixes, are equal. Where a picture has
    several kinds of label files, the preferred kind is taken and the others are ignored.

    Returns:
        (picture, label) paths, sorted.

    Raises:
        ImageError: A folder is missing or empty, or some pictures have no label, or some labels no picture.
    """
    if images.resolve() == labels.resolve():
        raise ImageError(f"{images}: pictures and labels must lie in two folders, but both are this one")
    pictures = _by_stem(dataset.image_suffix, _files(images, PICTURE_EXTENSIONS, "pictures"), images)
    truths = _labels_by_stem(dataset, _files(labels, LABEL_EXTENSIONS, "labels"), labels)
    if not truths:
        raise ImageError(f"{labels}: holds no label of {dataset.title}; expected names like {dataset.label_names()}")
    lonely = [pictures[key] for key in sorted(pictures.keys() - truths.keys())]
    orphans = [truths[key] for key in sorted(truths.keys() - pictures.keys())]
    if lonely or orphans:
        found = [
            _count(lonely, images, "picture", "without a label"),
            _count(orphans, labels, "label", "without a picture"),
        ]
        raise ImageError(
            f"{images} and {labels}: {' and '.join(filter(None, found))}; every picture needs the label "
            f"{dataset.label_names()} in the same subfolder"
        )
    return [(pictures[key], truths[key]) for key in sorted(pictures)]


def _files(folder: Path, extensions: frozenset[str], what: str) -> list[Path]:
    if not folder.is_dir():
        raise ImageError(f"{folder}: there is no such folder of {what}; check the path")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in extensions and path.is_file())
    found = [path for path in found if not path.name.startswith(".")]
    if not found:
        raise ImageError(f"{folder}: holds no {what}; expected files with {', '.join(sorted(extensions))}")
    return found


def _by_stem(suffix: str, paths: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Paths by their subfolder and their stem without `suffix`."""
    found: dict[str, Path] = {}
    for path in paths:
        key = (path.relative_to(folder).parent / path.stem.removesuffix(suffix)).as_posix()
        if key in found:
            raise ImageError(f"{path}: has the same name as {found[key]}; remove or rename one of the two")
        found[key] = path
    return found


def _labels_by_stem(dataset: Dataset, paths: list[Path], folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    claimed: set[Path] = set()
    for kind in dataset.labels:
        mine = [path for path in paths if path not in claimed and path.stem.endswith(kind.suffix)]
        claimed.update(mine)
        found = {**_by_stem(kind.suffix, mine, folder), **found}
    return found


def _count(paths: list[Path], folder: Path, noun: str, what: str) -> str:
    if not paths:
        return ""
    names = ", ".join(path.relative_to(folder).as_posix() for path in paths[:_LISTED])
    more = ", ..." if len(paths) > _LISTED else ""
    return f"{len(paths)} {noun}{'s' if len(paths) > 1 else ''} {what} ({names}{more})"

"""Finds the label of every picture in the folders that data sets come in."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from afformer.datasets.convention import Dataset
from afformer.errors import ImageError
from afformer.wording import count

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
    for folder in (images, labels):
        if "\0" in str(folder):
            raise ImageError(f"{str(folder)!r}: holds a NUL character, which no path may; check the path")
    if images.resolve() == labels.resolve():
        raise ImageError(f"{images}: pictures and labels must lie in two folders, but both are this one")
    pictures = _by_stem(dataset.image_suffix, _files(images, PICTURE_EXTENSIONS, "pictures"), images)
    truths = _labels_by_stem(dataset, _files(labels, LABEL_EXTENSIONS, "labels"), labels, pictures)
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


def visible_files(folder: Path, extensions: frozenset[str]) -> list[Path]:
    """Files in a folder and its subfolders; those that are hidden (`.name`), or in a hidden folder, do not count.

    A link to nowhere is among them, so that it is reported like any other file that cannot be read.

    Args:
        folder: Where to search; it may itself be in a hidden folder.
        extensions: In lower case, with the dot.
    """
    found = [path for path in folder.rglob("*") if path.suffix.lower() in extensions]
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return [path for path in found if path.is_file() or path.is_symlink()]


def _files(folder: Path, extensions: frozenset[str], what: str) -> list[Path]:
    if not folder.is_dir():
        raise ImageError(f"{folder}: there is no such folder of {what}; check the path")
    found = sorted(visible_files(folder, extensions))
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


def _labels_by_stem(dataset: Dataset, paths: list[Path], folder: Path, pictures: Container[str]) -> dict[str, Path]:
    """Paths by their subfolder and their stem without the suffix of their kind, the longest that fits.

    A label whose whole name is that of a picture keeps it: `a_L.png` is the label of `a_L.jpg`.
    """
    found: dict[str, Path] = {}
    claimed: dict[str, list[Path]] = {kind.suffix: [] for kind in dataset.labels}
    for path in paths:
        fitting = [suffix for suffix in claimed if path.stem.endswith(suffix)]
        whole = (path.relative_to(folder).parent / path.stem).as_posix()
        if fitting:
            claimed["" if "" in claimed and whole in pictures else max(fitting, key=len)].append(path)
    for suffix, mine in claimed.items():
        found = {**_by_stem(suffix, mine, folder), **found}
    return found


def _count(paths: list[Path], folder: Path, noun: str, what: str) -> str:
    if not paths:
        return ""
    names = ", ".join(path.relative_to(folder).as_posix() for path in paths[:_LISTED])
    more = ", ..." if len(paths) > _LISTED else ""
    return f"{count(len(paths), noun)} {what} ({names}{more})"

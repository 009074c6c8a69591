"""Picture files as a source: single ones, folders, patterns, numbered sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from afformer.errors import ImageError
from afformer.images import RGBImage, decode_image, read_image
from afformer.streams.frames import Frame, FrameSource


class PictureFiles(FrameSource):
    """Picture files, read one at a time. One that cannot be read becomes a frame with an error.

    Args:
        paths: The files, in the order in which they are read.
    """

    still = True

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.length = len(self.paths)
        self.name = self.paths[0].stem if self.length == 1 else "pictures"

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self.paths):
            yield Frame(index, path.stem, _content(path), path)


class PictureData(FrameSource):
    """One picture that has been read already, from stdin or a URL.

    Args:
        data: The bytes of its file.
        title: What messages call it.
        name: What outputs are named after.
    """

    still = True
    length = 1

    def __init__(self, data: bytes, title: str, name: str) -> None:
        self.name = name
        self._data, self._title = data, title

    def __iter__(self) -> Iterator[Frame]:
        content: RGBImage | ImageError
        try:
            content = decode_image(self._data, self._title)
        except ImageError as error:
            content = error
        yield Frame(0, self.name, content)


def _content(path: Path) -> RGBImage | ImageError:
    try:
        return read_image(path)
    except ImageError as error:
        return error

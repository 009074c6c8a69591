"""Where results go: files in a folder, JSON lines. `Sink` is the base class of all outputs."""

from __future__ import annotations

import abc
import contextlib
import datetime
import errno
import io
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from afformer.errors import OutputError
from afformer.files import check_writable, file_identity, json_text, make_folder, replacing, write_file
from afformer.images import ClassMap, RGBImage, write_image, write_mask
from afformer.runtime.choices import Regions
from afformer.runtime.drawing.layout import beside, side_by_side
from afformer.runtime.regions import describe_classes
from afformer.runtime.render import Renderer
from afformer.streams.choices import Output
from afformer.streams.frames import Frame

_LONGEST_NAME = 200
"""Bytes of a frame's name that file names keep, which leaves room for their suffixes."""


class Sink(abc.ABC):
    """Takes results, one after the other. A subclass implements `write` and, if need be, `close`."""

    @abc.abstractmethod
    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:
        """Takes a frame and its class map, `(H, W)` class ids at the picture's size.

        Both arrays may be overwritten after the call.

        Returns:
            The files that were written.

        Raises:
            OutputError: A file cannot be written.
            ValueError: The frame holds an error and no picture.
        """

    def close(self) -> list[Path]:
        """Finishes what the sink writes. It cannot be used afterwards; closing twice does nothing.

        Returns:
            The files that only now are in place.

        Raises:
            OutputError: A file cannot be finished.
        """
        return []

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FolderSink(Sink):
    """Writes files named after the frames into a folder.

    Two frames of one name get files of two names (`street_overlay.png`, `street-2_overlay.png`), so that no result of a
    run replaces another; results of an earlier run are replaced.

    Args:
        file: The path of the only output of the only frame; its name is made from the frame's if left out.
        regions: How JSON describes where a class is.
        protected: Files that must never be overwritten: the inputs.

    Raises:
        OutputError: The folder cannot be created.
    """

    def __init__(
        self,
        folder: Path,
        renderer: Renderer,
        outputs: Iterable[Output] = (Output.OVERLAY, Output.MASK),
        *,
        file: Path | None = None,
        legend: bool = False,
        regions: Regions = Regions.NONE,
        protected: Collection[Path] = (),
    ) -> None:
        self._file = file
        self.folder = folder
        self.renderer = renderer
        self.outputs = tuple(output for output in Output if output in set(outputs))
        self.legend, self._regions = legend, regions
        self._protected = {file_identity(path) for path in protected} - {None}
        self._taken: set[str] = set()
        make_folder(folder)

    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:  # noqa: D102 - see Sink
        image = frame.image
        # Frames of a video or camera are numbered, so their names need not be remembered, which would fill the memory.
        name = self._free_name(frame.name) if frame.time_s is None else frame.name
        paths = [self._file or self.folder / f"{name}{output.value}" for output in self.outputs]
        for path in paths:
            if file_identity(path) in self._protected:
                raise OutputError(f"{path}: is one of the inputs and is not overwritten; choose another output folder")
        for output, path in zip(self.outputs, paths, strict=True):
            if output in (Output.OVERLAY, Output.SIDE_BY_SIDE):
                write_image(path, self._drawn(output, image, classmap))
            elif output is Output.MASK:
                write_mask(path, classmap, self.renderer.palette)
            else:
                write_file(path, self._npy(classmap) if output is Output.NPY else self._json(frame, classmap))
        return paths

    def _drawn(self, output: Output, image: RGBImage, classmap: ClassMap) -> RGBImage:
        drawn = self.renderer.overlay(image, classmap)
        if output is Output.SIDE_BY_SIDE:
            drawn = side_by_side(image, drawn)
        return beside(drawn, self.renderer.legend(classmap, drawn.shape[0])) if self.legend else drawn

    def _npy(self, classmap: ClassMap) -> bytes:
        data = io.BytesIO()
        np.save(data, classmap, allow_pickle=False)
        return data.getvalue()

    def _json(self, frame: Frame, classmap: ClassMap) -> bytes:
        report = frame_report(frame, classmap, self.renderer.classes, self._regions)
        return (json_text(report, indent=2) + "\n").encode()

    def _free_name(self, name: str) -> str:
        """`name`, or the first of `name-2`, `name-3`, ... that no frame has had, regardless of case."""
        if len(encoded := name.encode(errors="surrogateescape")) > _LONGEST_NAME:
            name = encoded[:_LONGEST_NAME].decode(errors="ignore")
        free, number = name, 1
        while free.casefold() in self._taken:
            number += 1
            free = f"{name}-{number}"
        self._taken.add(free.casefold())
        return free


class JsonLinesSink(Sink):
    """One JSON object per line and frame: its `frame_report`, number and time stamps.

    A file is put in its place when the sink is closed, unless there was no frame; to watch lines as they come, write
    them to stdout.

    Args:
        target: The file, or a text stream (such as `sys.stdout`) that is flushed after each line and stays open.
        classes: Their names.
        regions: How to describe where a class is.

    Raises:
        OutputError: Nothing can be written there.
    """

    def __init__(self, target: Path | TextIO, classes: Sequence[str], regions: Regions = Regions.NONE) -> None:
        self._path = target if isinstance(target, Path) else None
        self._stream = None if isinstance(target, Path) else target
        self._classes, self._regions = tuple(classes), regions
        self._file = contextlib.ExitStack()
        self._failed = False
        if self._path:
            check_writable(self._path)

    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:  # noqa: D102 - see Sink
        utc = datetime.datetime.fromtimestamp(frame.captured_at, datetime.timezone.utc) if frame.captured_at else None
        line = {
            "index": frame.index,
            "time_s": None if frame.time_s is None else round(frame.time_s, 6),
            "captured_at": utc.isoformat(timespec="milliseconds") if utc else None,
            **frame_report(frame, classmap, self._classes, self._regions),
        }
        if self._failed:
            raise OutputError(f"{self._path}: JSON lines could not be written before this one")
        stream = self._stream or self._open()
        try:
            stream.write(json_text(line, encoding=stream.encoding or "utf-8") + "\n")
            if self._path is None:
                stream.flush()
                if getattr(getattr(getattr(stream, "buffer", None), "raw", None), "reader_gone", False):
                    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))  # a camera would never end
        except OSError as error:
            self._discard(error)
            where = self._path or "stdout"
            raise OutputError(f"{where}: JSON lines cannot be written any more ({error.strerror})") from error
        return []

    def _discard(self, error: OSError) -> None:
        """Removes the file, so that its first lines are never mistaken for the whole."""
        if self._path is None:
            return
        self._stream, self._failed = None, True
        with contextlib.suppress(OSError, OutputError):  # the same error again
            self._file.__exit__(type(error), error, error.__traceback__)

    def close(self) -> list[Path]:  # noqa: D102 - see Sink
        if self._path is None or self._stream is None:
            return []
        self._stream = None
        self._file.close()
        return [self._path]

    def _open(self) -> TextIO:
        """Opens the file at the first frame, so that a sink without frames leaves nothing even if it is not closed."""
        assert self._path is not None, "streams are open"
        temporary = self._file.enter_context(replacing(self._path))
        stream: TextIO = self._file.enter_context(temporary.open("w", encoding="utf-8"))
        self._stream = stream
        return stream


def frame_report(
    frame: Frame, classmap: ClassMap, classes: Sequence[str], regions: Regions = Regions.NONE
) -> dict[str, Any]:
    """What is in a picture, as plain data: its classes, the largest first, with pixels, share (0..1), and regions."""
    height, width = classmap.shape
    return {
        "picture": str(frame.path) if frame.path else frame.name,
        "width": width,
        "height": height,
        "classes": describe_classes(classmap, classes, regions),
    }

"""Where results go: files in a folder, JSON lines. Anything that takes a frame and its class map fits behind `Sink`."""

from __future__ import annotations

import abc
import contextlib
import datetime
import enum
import io
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from afformer.errors import ImageError, OutputError
from afformer.files import check_writable, make_folder, replacing
from afformer.images import ClassMap, RGBImage, write_image, write_mask
from afformer.runtime.drawing.layout import beside, side_by_side
from afformer.runtime.drawing.shares import class_shares
from afformer.runtime.render import Renderer
from afformer.streams.sources import Frame

_LONGEST_NAME = 200
"""Bytes of a picture's name that outputs keep, so that their endings fit into a file name, too."""


class Output(enum.Enum):
    """What is written of a frame; the value is what the file's name ends with."""

    OVERLAY = "_overlay.png"
    """The picture, tinted with the classes' colours."""
    MASK = "_mask.png"
    """Class ids, shown in the palette's colours: an indexed PNG."""
    SIDE_BY_SIDE = "_side_by_side.png"
    """The picture and its overlay."""
    NPY = "_classmap.npy"
    """The class map as numpy keeps it."""
    JSON = "_classes.json"
    """Each class's pixels and share."""


class Sink(abc.ABC):
    """Takes results, one after the other. A subclass gives `write`, and `close` where it must."""

    @abc.abstractmethod
    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:
        """Takes one frame, which holds a picture, and its class map, `(H, W)` class ids at the picture's size.

        Both arrays may be overwritten after the call.

        Returns:
            The files that were written.

        Raises:
            OutputError: A file cannot be written.
        """

    def close(self) -> list[Path]:
        """Finishes what the sink writes. It cannot be used afterwards; closing twice does nothing.

        Returns:
            The files that are there only now.

        Raises:
            OutputError: A file cannot be finished.
        """
        return []

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FolderSink(Sink):
    """Writes files named after the frames into a folder.

    Two frames of one name get files of two names (`street_overlay.png`, `street-2_overlay.png`), so that no result of a
    run replaces another; results of an earlier run are replaced.

    Args:
        folder: Where to; made if it is missing.
        renderer: Draws with the model's palette.
        outputs: What to write.
        legend: Put a legend beside overlays.
        protected: Files that must never be overwritten: the inputs.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        renderer: Renderer,
        outputs: Iterable[Output] = (Output.OVERLAY, Output.MASK),
        *,
        legend: bool = False,
        protected: Collection[Path] = (),
    ) -> None:
        self.folder = folder
        self.renderer = renderer
        self.outputs = tuple(output for output in Output if output in set(outputs))
        self.legend = legend
        self._protected = {path.resolve() for path in protected}
        self._taken: set[str] = set()
        make_folder(folder)

    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:  # noqa: D102 - see Sink
        if isinstance(frame.content, ImageError):
            raise ValueError(f"frame {frame.index} ({frame.name}) holds an error and no picture; report it instead")
        # Frames of a video or a camera are numbered: to note the names of an endless stream would fill the memory.
        name = self._free_name(frame.name) if frame.time_s is None else frame.name
        paths = [self.folder / f"{name}{output.value}" for output in self.outputs]
        for path in paths:
            if path.resolve() in self._protected:
                raise OutputError(f"{path}: is one of the inputs and is not overwritten; choose another output folder")
        for output, path in zip(self.outputs, paths, strict=True):
            _WRITERS[output](self, path, frame, classmap)
        return paths

    def picture(self, output: Output, image: RGBImage, classmap: ClassMap) -> RGBImage:
        """The overlay or side-by-side picture that `write` would write."""
        drawn = self.renderer.overlay(image, classmap)
        if output is Output.SIDE_BY_SIDE:
            drawn = side_by_side(image, drawn)
        return beside(drawn, self.renderer.legend(classmap, drawn.shape[0])) if self.legend else drawn

    def _free_name(self, name: str) -> str:
        """`name`, or the first of `name-2`, `name-3`, ... that no frame has had. Case does not tell names apart."""
        name = name.encode(errors="surrogateescape")[:_LONGEST_NAME].decode(errors="ignore")
        free, number = name, 1
        while free.casefold() in self._taken:
            number += 1
            free = f"{name}-{number}"
        self._taken.add(free.casefold())
        return free

    def _write_overlay(self, path: Path, frame: Frame, classmap: ClassMap) -> None:
        write_image(path, self.picture(Output.OVERLAY, _image(frame), classmap))

    def _write_side_by_side(self, path: Path, frame: Frame, classmap: ClassMap) -> None:
        write_image(path, self.picture(Output.SIDE_BY_SIDE, _image(frame), classmap))

    def _write_mask(self, path: Path, _frame: Frame, classmap: ClassMap) -> None:
        write_mask(path, classmap, self.renderer.palette)

    def _write_npy(self, path: Path, _frame: Frame, classmap: ClassMap) -> None:
        data = io.BytesIO()
        np.save(data, classmap, allow_pickle=False)
        _write(path, data.getvalue())

    def _write_json(self, path: Path, frame: Frame, classmap: ClassMap) -> None:
        report = frame_report(frame, classmap, self.renderer.classes)
        _write(path, (json.dumps(report, ensure_ascii=False, indent=2) + "\n").encode())


_WRITERS: dict[Output, Callable[[FolderSink, Path, Frame, ClassMap], None]] = {
    Output.OVERLAY: FolderSink._write_overlay,
    Output.MASK: FolderSink._write_mask,
    Output.SIDE_BY_SIDE: FolderSink._write_side_by_side,
    Output.NPY: FolderSink._write_npy,
    Output.JSON: FolderSink._write_json,
}


class JsonLinesSink(Sink):
    """One JSON object a line and frame: what `frame_report` says, with the frame's number and time stamps.

    A file is put in its place when the sink is closed, unless there was no frame; to watch lines as they come, write
    them to stdout.

    Args:
        target: The file, or a text stream (such as `sys.stdout`) that is flushed after each line and stays open.
        classes: Class names.

    Raises:
        OutputError: Nothing can be written there.
    """

    def __init__(self, target: Path | TextIO, classes: Sequence[str]) -> None:
        self._path = target if isinstance(target, Path) else None
        self._classes = tuple(classes)
        self._finish = contextlib.ExitStack()
        self._stream = None if isinstance(target, Path) else target
        if isinstance(target, Path):
            check_writable(target)

    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:  # noqa: D102 - see Sink
        utc = datetime.datetime.fromtimestamp(frame.captured_at, datetime.timezone.utc) if frame.captured_at else None
        line = {
            "index": frame.index,
            "time_s": None if frame.time_s is None else round(frame.time_s, 6),
            "captured_at": utc.isoformat(timespec="milliseconds") if utc else None,
            **frame_report(frame, classmap, self._classes),
        }
        stream = self._stream or self._open()
        try:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            if self._path is None:
                stream.flush()
        except OSError as error:
            where = self._path or "stdout"
            raise OutputError(f"{where}: JSON lines cannot be written any more ({error.strerror})") from error
        return []

    def close(self) -> list[Path]:  # noqa: D102 - see Sink
        if self._path is None or self._stream is None:
            return []
        self._stream = None
        self._finish.close()
        return [self._path]

    def _open(self) -> TextIO:
        """Opens the file at the first frame: a sink that is never closed leaves nothing if nothing was written."""
        assert self._path is not None, "streams are open"
        temporary = self._finish.enter_context(replacing(self._path))
        stream: TextIO = self._finish.enter_context(temporary.open("w", encoding="utf-8"))
        self._stream = stream
        return stream


def frame_report(frame: Frame, classmap: ClassMap, classes: tuple[str, ...]) -> dict[str, Any]:
    """What is in a picture, as plain data: its classes, the largest first, with pixels and share (0..1)."""
    height, width = classmap.shape
    return {
        "picture": str(frame.path) if frame.path else frame.name,
        "width": width,
        "height": height,
        "classes": [
            {"id": share.class_id, "name": classes[share.class_id], "pixels": share.pixels, "share": share.share}
            for share in class_shares(classmap)
        ],
    }


def _image(frame: Frame) -> RGBImage:
    assert not isinstance(frame.content, ImageError), "FolderSink.write has checked this"
    return frame.content


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)

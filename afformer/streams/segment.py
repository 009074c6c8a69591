"""Pictures, videos and cameras -> class maps and what is drawn of them."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from afformer.errors import OutputError
from afformer.files import make_folder
from afformer.images import ClassMap, single_threaded_opencv
from afformer.runtime.drawing.colours import Colours
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.runtime.render import Renderer
from afformer.runtime.segmenter import Segmenter
from afformer.spec import ModelSpec
from afformer.streams.flow import FlowReport, segment_stream
from afformer.streams.sinks import FolderSink, JsonLinesSink, Output, Sink, frame_report
from afformer.streams.smoothing import Smoothing
from afformer.streams.sources import Frame, PictureFiles, Source, Spec, open_source
from afformer.streams.video import DEFAULT_FPS, VideoSink
from afformer.streams.window import OpenCvGui, Window

Seen = Callable[[int, int | None], None]
"""Told how many frames are done, of how many if that is known."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What to make of each result.

    Attributes:
        outputs: Files of each frame.
        video: Write one annotated video.
        json_lines: Write one line of JSON a frame; to stdout if there is no folder.
        show: Open a window.
        legend: Draw a legend.
        opacity: Of the classes' colours in overlays, 0..1.
        outlines: Draw lines between classes in overlays.
        names: Write class names on the larger regions of overlays.
        colours: Colours of overlays and legends; masks have the data set's palette.
        smooth: Frames in a row that it takes to change a pixel of a video; 1 changes it at once.
        fps: Frames a second of the video, for sources without a rate of their own, such as numbered pictures; None
            takes `DEFAULT_FPS` for them.
    """

    outputs: tuple[Output, ...] = ()
    video: bool = False
    json_lines: bool = False
    show: bool = False
    legend: bool = False
    opacity: float = 0.5
    outlines: bool = True
    names: bool = True
    colours: Colours = Colours.AUTO
    smooth: int = 1
    fps: float | None = None

    @property
    def files(self) -> bool:
        """Whether any files, or lines on stdout, were named."""
        return bool(self.outputs or self.video or self.json_lines)


@dataclasses.dataclass(frozen=True)
class Inference:
    """What `segment_pictures` did.

    Attributes:
        engine: What the model ran on.
        pictures: What is in each picture, with the files written of it; empty for videos and cameras.
        written: Files that were written, for videos and cameras only those that cover all frames.
        flow: Frames, failures, dropped frames, seconds.
    """

    engine: str
    pictures: list[dict[str, Any]]
    written: list[Path]
    flow: FlowReport

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {"engine": self.engine, "pictures": self.pictures, **self.flow.to_json()}


def segment_pictures(
    model: Path,
    source: Spec | Sequence[Spec],
    folder: Path | None,
    *,
    wanted: Wanted = Wanted(),
    open_options: OpenOptions = DEFAULT,
    seen: Seen = lambda done, total: None,
) -> Inference:
    """Segments pictures, a video, a camera or a stream. A frame that cannot be read is reported and left out.

    Args:
        model: A model file or a checkpoint.
        source: Whatever `open_source` opens.
        folder: Where files go; made if it is missing. May be None if only a window or lines on stdout are wanted.
        wanted: What to make of each result. If it names no files, overlays and masks of pictures and one video of
            anything that moves, unless there is no folder for them and a window is enough.
        open_options: How to open the model.
        seen: Told of progress.

    Raises:
        AfformerError: The model or the source cannot be opened, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(single_threaded_opencv())
        frames = _without_results(stack.enter_context(open_source(source)), folder)
        moving = _moves(frames)
        if not wanted.files and (folder is not None or not wanted.show):
            outputs = () if moving else (Output.OVERLAY, Output.MASK)
            wanted = dataclasses.replace(wanted, outputs=outputs, video=moving)
        _check_fps(wanted, frames)
        backend = stack.enter_context(open_options.open_backend(model))
        renderer = _renderer(backend.spec, wanted)
        notes = _Notes(backend.spec, frames, keep=not moving, seen=seen)
        still = not (moving or wanted.video)
        window = _window(wanted, renderer, folder, still) if wanted.show else None  # before the sinks: it may fail
        flow = segment_stream(
            Segmenter(backend, fit=open_options.fit),
            frames,
            window=window,
            sinks=_sinks(wanted, frames, renderer, folder),
            smoothing=Smoothing(wanted.smooth) if wanted.smooth > 1 else None,
            on_frame=notes.take,
        )
        screenshots = window.screenshots if window else []
        return Inference(backend.description, notes.pictures, [*notes.written, *screenshots, *flow.finished], flow)


class _Notes:
    """What is kept of each frame: of a video nothing, since it may never end."""

    def __init__(self, spec: ModelSpec, source: Source, *, keep: bool, seen: Seen) -> None:
        self.pictures: list[dict[str, Any]] = []
        self.written: list[Path] = []
        self._spec, self._source, self._keep, self._seen, self._done = spec, source, keep, seen, 0

    def take(self, frame: Frame, classmap: ClassMap, files: list[Path]) -> None:
        """Notes one frame."""
        self._done += 1
        self._seen(self._done, self._source.length)
        if self._keep:
            self.written += files
            report = frame_report(frame, classmap, self._spec.classes)
            self.pictures.append({**report, "files": [str(file) for file in files]})


def _renderer(spec: ModelSpec, wanted: Wanted) -> Renderer:
    return Renderer(
        spec.classes, spec.palette, wanted.opacity, wanted.outlines, names=wanted.names, colours=wanted.colours
    )


def _moves(source: Source) -> bool:
    return not isinstance(source, PictureFiles)


def _without_results(source: Source, folder: Path | None) -> Source:
    """A folder that holds pictures and the results of an earlier run: the results are no pictures to segment."""
    if folder is None or not isinstance(source, PictureFiles) or len(source.paths) == 1:
        return source
    endings, here = tuple(output.value for output in Output), folder.resolve()
    kept = [p for p in source.paths if not (p.name.endswith(endings) and p.parent.resolve() == here)]
    return PictureFiles(kept) if kept else source


def _check_fps(wanted: Wanted, source: Source) -> None:
    if wanted.fps is not None and not wanted.video:
        raise OutputError("a frame rate was given, but no video is written; ask for one with --write video")
    if wanted.fps is not None and source.fps is not None:
        raise OutputError(
            f"a frame rate of {wanted.fps:g} was given, but {source.name} has its own, {source.fps:g}, and its video "
            "keeps that; leave --fps out"
        )


def _sinks(wanted: Wanted, source: Source, renderer: Renderer, folder: Path | None) -> list[Sink]:
    sinks: list[Sink] = []
    if folder is None:
        if wanted.outputs or wanted.video:
            raise OutputError(
                "there is no folder to write into; name one with -o, or ask for a window or JSON lines only"
            )
        return [JsonLinesSink(sys.stdout, renderer.classes)] if wanted.json_lines else []
    make_folder(folder)
    if wanted.outputs:
        sinks.append(FolderSink(folder, renderer, wanted.outputs, legend=wanted.legend, protected=source.paths))
    if wanted.video:
        path = folder / f"{source.name}_overlay.mp4"
        if path.resolve() in {taken.resolve() for taken in source.paths}:
            raise OutputError(f"{path}: is the input and is not overwritten; choose another output folder")
        paced = _moves(source) and (source.live or source.fps is None)
        fps = next(rate for rate in (source.fps, wanted.fps, DEFAULT_FPS) if rate is not None)
        sinks.append(VideoSink(path, renderer, fps, paced=paced, legend=wanted.legend))
    if wanted.json_lines:
        sinks.append(JsonLinesSink(folder / f"{source.name}.jsonl", renderer.classes))
    return sinks


def _window(wanted: Wanted, renderer: Renderer, folder: Path | None, still: bool) -> Window:
    return Window(renderer, OpenCvGui(), folder=folder or Path(), legend=wanted.legend, still=still)

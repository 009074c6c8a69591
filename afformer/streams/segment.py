"""Pictures, videos and cameras -> class maps and drawings of them."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from afformer.errors import OutputError
from afformer.files import make_folder
from afformer.images import ClassMap
from afformer.opencv import single_threaded_opencv
from afformer.runtime.choices import Colours
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.runtime.render import Renderer
from afformer.runtime.segmenter import Segmenter
from afformer.spec import ModelSpec
from afformer.streams.choices import Output
from afformer.streams.flow import segment_stream
from afformer.streams.flow_report import FlowReport
from afformer.streams.frames import Frame, FrameSource
from afformer.streams.picture_files import PictureFiles
from afformer.streams.sinks import FolderSink, JsonLinesSink, Sink, frame_report
from afformer.streams.smoothing import Smoothing
from afformer.streams.sources import SourceLocation, open_source
from afformer.streams.video_sink import DEFAULT_FPS, VideoSink
from afformer.streams.window import OpenCvGui, Window

OnProgress = Callable[[int, int | None], None]
"""Called with the number of frames done, and of all frames if that is known."""


@dataclasses.dataclass(frozen=True)
class OutputOptions:
    """What to make of each result.

    Attributes:
        outputs: Files of each frame.
        video: Write one annotated video.
        json_lines: Write one line of JSON per frame; to stdout if there is no folder.
        show: Open a window.
        legend: Draw a legend.
        opacity: Of the classes' colours in overlays, 0..1.
        outlines: Draw lines between classes in overlays.
        names: Write class names on the larger regions of overlays.
        colours: Colours of overlays and legends; masks have the data set's palette.
        smooth: Frames in a row that it takes to change a pixel of a video; 1 changes it at once.
        fps: Frames per second of the video, for sources without a rate of their own, such as numbered pictures; None
            means `DEFAULT_FPS`.
        file: The one file to write, of one picture or of a video, in place of names made in the folder.
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
    file: Path | None = None


@dataclasses.dataclass(frozen=True)
class SegmentReport:
    """What `segment_pictures` did.

    Attributes:
        backend: What the model ran on.
        pictures: What is in each picture, with the files written of it; empty for videos and cameras.
        written: Files that were written; for videos and cameras only those that cover all frames.
        flow: Frames, failures, dropped frames, seconds.
        noun: What a person calls what was segmented: `picture` or `frame`.
    """

    backend: str
    pictures: list[dict[str, Any]]
    written: list[Path]
    flow: FlowReport
    noun: str = "picture"

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {"engine": self.backend, "pictures": self.pictures, **self.flow.to_json()}


def segment_pictures(
    model: Path,
    source: SourceLocation | Sequence[SourceLocation],
    folder: Path | None,
    *,
    output_options: OutputOptions = OutputOptions(),
    open_options: OpenOptions = DEFAULT,
    on_progress: OnProgress = lambda done, total: None,
) -> SegmentReport:
    """Segments pictures, a video, a camera or a stream. A frame that cannot be read is reported and left out.

    Args:
        model: A model file or a checkpoint.
        source: Whatever `open_source` opens.
        folder: Where files go; created if it is missing. None if only a window or lines on stdout are wanted.
        output_options: What to make of each result. If no files are asked for, they are overlays and masks of pictures,
            and a video of anything else, unless there is no folder and a window is enough.
        open_options: How to open the model.
        on_progress: Called after each frame.

    Raises:
        AfformerError: The model or the source cannot be opened, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(single_threaded_opencv())
        frames = _without_results(stack.enter_context(open_source(source)), folder)
        options = _with_defaults(output_options, frames, folder)
        _check_fps(options, frames)
        _check_file(options, frames)
        backend = stack.enter_context(open_options.open_backend(model))
        renderer = _renderer(backend.spec, options)
        pictures = _PictureReports(backend.spec.classes, frames, on_progress)
        window = None
        if options.show:  # before the sinks, as it may fail
            still = not (_is_video(frames) or options.video)
            window = Window(renderer, OpenCvGui(), folder=folder or Path(), legend=options.legend, still=still)
            stack.callback(window.close)
        flow = segment_stream(
            Segmenter(backend, fit=open_options.fit),
            frames,
            window=window,
            sinks=_sinks(options, frames, renderer, folder),
            smoothing=Smoothing(options.smooth) if options.smooth > 1 else None,
            on_frame=pictures.add,
        )
        screenshots = window.screenshots if window else []
        written = [*pictures.written, *screenshots, *flow.finished]
        noun = "frame" if _is_video(frames) else "picture"
        return SegmentReport(backend.description, pictures.reports, written, flow, noun)


class _PictureReports:
    """Counts frames, and keeps a report of each picture; of a video nothing, since it may never end."""

    def __init__(self, classes: Sequence[str], source: FrameSource, on_progress: OnProgress) -> None:
        self.reports: list[dict[str, Any]] = []
        self.written: list[Path] = []
        self._classes, self._source, self._on_progress, self._done = classes, source, on_progress, 0

    def add(self, frame: Frame, classmap: ClassMap, files: list[Path]) -> None:
        self._done += 1
        self._on_progress(self._done, self._source.length)
        if not _is_video(self._source):
            self.written += files
            report = frame_report(frame, classmap, self._classes)
            self.reports.append({**report, "files": [str(file) for file in files]})


def _renderer(spec: ModelSpec, options: OutputOptions) -> Renderer:
    return Renderer(
        spec.classes, spec.palette, options.opacity, options.outlines, names=options.names, colours=options.colours
    )


def _is_video(source: FrameSource) -> bool:
    """Whether these are frames of a video, camera or stream, not pictures."""
    return not isinstance(source, PictureFiles)


def _without_results(source: FrameSource, folder: Path | None) -> FrameSource:
    """Leaves out the results of an earlier run in a folder that also holds the pictures."""
    if folder is None or not isinstance(source, PictureFiles) or len(source.paths) == 1:
        return source
    endings, here = tuple(output.value for output in Output), folder.resolve()
    kept = [p for p in source.paths if not (p.name.endswith(endings) and p.parent.resolve() == here)]
    return PictureFiles(kept) if kept else source


def _with_defaults(options: OutputOptions, source: FrameSource, folder: Path | None) -> OutputOptions:
    if options.outputs or options.video or options.json_lines or (folder is None and options.show):
        return options
    outputs = () if _is_video(source) else (Output.OVERLAY,) if options.file else (Output.OVERLAY, Output.MASK)
    return dataclasses.replace(options, outputs=outputs, video=_is_video(source))


def _check_fps(options: OutputOptions, source: FrameSource) -> None:
    if options.fps is not None and not options.video:
        raise OutputError(f"fps is {options.fps:g}, but no video is written; ask for a video, or leave fps out")
    if options.fps is not None and source.fps is not None:
        raise OutputError(
            f"fps is {options.fps:g}, but {source.name} has its own, {source.fps:g}, and keeps it; leave fps out"
        )


def _check_file(options: OutputOptions, source: FrameSource) -> None:
    """Whether one file can hold what was asked for."""
    wanted = len(options.outputs) + options.video + options.json_lines
    if options.file is None or (wanted == 1 and (not options.outputs or source.length == 1)):
        return
    many = f"{source.length or 'many'} frames" if source.length != 1 else f"{wanted} files"
    raise OutputError(f"{options.file}: is one file, but there are {many} to write; name a folder")


def _sinks(options: OutputOptions, source: FrameSource, renderer: Renderer, folder: Path | None) -> list[Sink]:
    sinks: list[Sink] = []
    if folder is None:
        if options.outputs or options.video:
            raise OutputError("there is no folder to write into; name one, or ask for a window or JSON lines only")
        return [JsonLinesSink(sys.stdout, renderer.classes)] if options.json_lines else []
    make_folder(folder)
    if options.outputs:
        sinks.append(
            FolderSink(
                folder,
                renderer,
                options.outputs,
                file=options.file,
                legend=options.legend,
                protected=source.paths,
            )
        )
    if options.video:
        path = options.file or folder / f"{source.name}_overlay.mp4"
        if path.resolve() in {taken.resolve() for taken in source.paths}:
            raise OutputError(f"{path}: is the input and is not overwritten; choose another output folder")
        paced = _is_video(source) and (source.live or source.fps is None)
        fps = next(rate for rate in (source.fps, options.fps, DEFAULT_FPS) if rate is not None)
        sinks.append(VideoSink(path, renderer, fps, paced=paced, legend=options.legend))
    if options.json_lines:
        sinks.append(JsonLinesSink(options.file or folder / f"{source.name}.jsonl", renderer.classes))
    return sinks

"""Pictures, videos and cameras -> class maps and drawings of them."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from afformer.choice import take_choices
from afformer.errors import ImageError, OutputError
from afformer.files import AnyPath, check_name, file_identity, make_folder
from afformer.images import ClassMap
from afformer.opencv import single_threaded_opencv
from afformer.runtime.choices import Colours, Regions
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.runtime.render import Renderer
from afformer.runtime.segmenter import Segmenter
from afformer.spec import ModelSpec
from afformer.streams.choices import Codec, Output
from afformer.streams.flow import segment_stream
from afformer.streams.flow_report import Ending, FlowReport
from afformer.streams.frames import Frame, FrameSource
from afformer.streams.sinks import FolderSink, JsonLinesSink, Sink, frame_report
from afformer.streams.smoothing import Smoothing
from afformer.streams.sources import Opener, SourceLocation, openers
from afformer.streams.video_sink import DEFAULT_FPS, VideoSink
from afformer.streams.window import OpenCvGui, Window

VIDEO_ENDING = "_overlay.mp4"
OnProgress = Callable[[int, int | None], None]
"""Called with the number of frames done, and of all frames if that is known."""


@dataclasses.dataclass(frozen=True)
class OutputOptions:
    """What to make of each result. Enums may be given as their strings, an output as its name, such as `"overlay"`.

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
        codec: What videos are encoded with.
        regions: How JSON describes where a class is; for JSON files and lines.
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
    codec: Codec = Codec.H264
    file: Path | None = None
    regions: Regions = Regions.NONE

    def __post_init__(self) -> None:
        outputs = (self.outputs,) if isinstance(self.outputs, (str, Output)) else self.outputs
        object.__setattr__(self, "outputs", tuple(map(Output, outputs)))
        take_choices(self, colours=Colours, codec=Codec, regions=Regions)
        if self.file is not None:
            object.__setattr__(self, "file", Path(self.file))


@dataclasses.dataclass(frozen=True)
class SegmentReport:
    """What `segment_pictures` did.

    Attributes:
        backend: What the model ran on.
        pictures: What is in each picture, with the files written of it; empty for videos and cameras.
        written: Files that were written; for videos and cameras only those that cover all frames.
        flow: Frames, failures, dropped frames, seconds.
        counts: How many pictures and frames were segmented, by what a person calls them.
    """

    backend: str
    pictures: list[dict[str, Any]]
    written: list[Path]
    flow: FlowReport
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {"engine": self.backend, "pictures": self.pictures, **self.flow.to_json()}


def segment_pictures(
    model: AnyPath,
    source: SourceLocation | Sequence[SourceLocation],
    folder: AnyPath | None,
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
    folder = None if folder is None else Path(folder)
    _check_regions(output_options)
    if folder is not None:
        check_name(folder)
    with contextlib.ExitStack() as stack:
        stack.enter_context(single_threaded_opencv())
        waiting = collections.deque(openers(source, lambda path: _is_result(path, folder)))
        # Before the model, so that a missing source is reported at once.
        several = len(waiting) > 1
        opened, failures = _first_that_opens(waiting)
        stack.callback(opened.close)
        options = _with_defaults(output_options, opened, folder)
        _check_fps(options, opened)
        _check_looks(options)
        _check_file(options, opened, several=several)
        backend = stack.enter_context(open_options.open_backend(model))
        run = _Run(Segmenter(backend, fit=open_options.fit), backend.spec, folder, output_options, on_progress)
        run.flow.failures += failures
        run.segment(opened)
        while waiting and run.flow.ending is Ending.SOURCE:
            run.open_and_segment(waiting.popleft())
        return SegmentReport(backend.description, run.pictures, run.written, run.flow, dict(run.counts))


def _first_that_opens(waiting: collections.deque[Opener]) -> tuple[FrameSource, list[Frame]]:
    """Takes sources until one can be opened; also gives those that could not, with their errors.

    Raises:
        ImageError: None can be opened.
    """
    failures: list[Frame] = []
    while True:
        try:
            return waiting.popleft()(), failures
        except ImageError as error:
            if not waiting:
                raise
            failures.append(Frame(len(failures), "", error))


class _Run:
    """Segments one source after the other, and sums up what was done."""

    def __init__(
        self,
        segmenter: Segmenter,
        spec: ModelSpec,
        folder: Path | None,
        options: OutputOptions,
        on_progress: OnProgress,
    ) -> None:
        self.pictures: list[dict[str, Any]] = []
        self.written: list[Path] = []
        self.flow = FlowReport()
        self.counts: collections.Counter[str] = collections.Counter()
        self._segmenter, self._spec, self._folder = segmenter, spec, folder
        self._options, self._on_progress = options, on_progress

    def open_and_segment(self, opener: Opener) -> None:
        """One of several sources: failing to open it does not stop the others."""
        try:
            source = opener()
        except ImageError as error:
            self.flow.failures.append(Frame(0, "", error))
            return
        with source:
            self.segment(source)

    def segment(self, source: FrameSource) -> None:
        options = _with_defaults(self._options, source, self._folder)
        _check_fps(options, source)
        renderer = _renderer(self._spec, options)
        reports = _PictureReports(self._spec.classes, source, self._on_progress)
        with contextlib.ExitStack() as stack:
            window = None
            if options.show:  # before the sinks, as it may fail
                still = source.still and not options.video
                window = Window(
                    renderer, OpenCvGui(), folder=self._folder or Path(), legend=options.legend, still=still
                )
                stack.callback(window.close)
            flow = segment_stream(
                self._segmenter,
                source,
                window=window,
                sinks=_sinks(options, source, renderer, self._folder),
                smoothing=Smoothing(options.smooth) if options.smooth > 1 else None,
                on_frame=reports.add,
            )
        self.pictures += reports.reports
        self.written += [*reports.written, *(window.screenshots if window else []), *flow.finished]
        self.counts["picture" if source.still else "frame"] += flow.frames
        self.flow.add(flow)


class _PictureReports:
    """Counts frames, and keeps a report of each picture; of a video nothing, since it may never end."""

    def __init__(self, classes: Sequence[str], source: FrameSource, on_progress: OnProgress) -> None:
        self.reports: list[dict[str, Any]] = []
        self.written: list[Path] = []
        self._classes, self._source, self._on_progress, self._done = classes, source, on_progress, 0

    def add(self, frame: Frame, classmap: ClassMap, files: list[Path]) -> None:
        self._done += 1
        self._on_progress(self._done, self._source.length)
        if self._source.still:
            self.written += files
            report = frame_report(frame, classmap, self._classes)
            self.reports.append({**report, "files": [str(file) for file in files]})


def _renderer(spec: ModelSpec, options: OutputOptions) -> Renderer:
    return Renderer(
        spec.classes, spec.palette, options.opacity, options.outlines, names=options.names, colours=options.colours
    )


def _is_result(path: Path, folder: Path | None) -> bool:
    """Whether this is a result of an earlier run, in a folder that also holds what is segmented."""
    endings = (*(output.value for output in Output), VIDEO_ENDING)
    return folder is not None and path.name.endswith(endings) and path.parent.resolve() == folder.resolve()


def _with_defaults(options: OutputOptions, source: FrameSource, folder: Path | None) -> OutputOptions:
    if options.outputs or options.video or options.json_lines or (folder is None and options.show):
        return options
    outputs = () if not source.still else (Output.OVERLAY,) if options.file else (Output.OVERLAY, Output.MASK)
    return dataclasses.replace(options, outputs=outputs, video=not source.still)


def _check_fps(options: OutputOptions, source: FrameSource) -> None:
    if options.fps is not None and not options.video:
        raise OutputError(f"`fps` is {options.fps:g}, but no video is written; ask for `video`, or leave `fps` out")
    if options.fps is not None and source.fps is not None:
        raise OutputError(
            f"`fps` is {options.fps:g}, but {source.name} has its own, {source.fps:g}, and keeps it; leave `fps` out"
        )


_LOOKS = ("legend", "opacity", "outlines", "names", "colours")
"""How overlays look."""


def _check_looks(options: OutputOptions) -> None:
    if options.show or options.video or {Output.OVERLAY, Output.SIDE_BY_SIDE} & set(options.outputs):
        return
    for name in _LOOKS:
        if getattr(options, name) != getattr(OutputOptions, name):
            raise OutputError(
                f"`{name}` is about overlays, but none is written; ask for `overlay`, or leave `{name}` out"
            )


def _check_regions(options: OutputOptions) -> None:
    if options.regions is not Regions.NONE and not options.json_lines and Output.JSON not in options.outputs:
        raise OutputError(
            f"`regions` is {options.regions.value}, but no JSON is written; ask for JSON files or lines as well"
        )


def _check_file(options: OutputOptions, source: FrameSource, *, several: bool) -> None:
    """Whether one file can hold what was asked for."""
    wanted = (len(options.outputs) + options.video + options.json_lines) * (2 if several else 1)
    if options.file is None or (wanted == 1 and (not options.outputs or source.length == 1)):
        return
    frames = source.length or "many"
    many = "several sources" if several else f"{frames} frames" if frames != 1 else f"{wanted} files"
    raise OutputError(f"{options.file}: is one file, but there are {many} to write; name a folder")


def _sinks(options: OutputOptions, source: FrameSource, renderer: Renderer, folder: Path | None) -> list[Sink]:
    sinks: list[Sink] = []
    if folder is None:
        if options.outputs or options.video:
            raise OutputError("there is no folder to write into; name one, or ask for a window or JSON lines only")
        return [JsonLinesSink(sys.stdout, renderer.classes, options.regions)] if options.json_lines else []
    make_folder(folder)
    if options.outputs:
        sinks.append(
            FolderSink(
                folder,
                renderer,
                options.outputs,
                file=options.file,
                legend=options.legend,
                regions=options.regions,
                protected=source.paths,
            )
        )
    if options.video:
        path = options.file or folder / f"{source.name}{VIDEO_ENDING}"
        if file_identity(path) in {file_identity(taken) for taken in source.paths} - {None}:
            raise OutputError(f"{path}: is the input and is not overwritten; choose another output folder")
        fps = next(rate for rate in (source.fps, options.fps, DEFAULT_FPS) if rate is not None)
        sinks.append(
            VideoSink(
                path,
                renderer,
                fps,
                paced=source.live,
                legend=options.legend,
                codec=options.codec,
                track=source.track,
            )
        )
    if options.json_lines:
        path = options.file or folder / f"{source.name}.jsonl"
        sinks.append(JsonLinesSink(path, renderer.classes, options.regions))
    return sinks

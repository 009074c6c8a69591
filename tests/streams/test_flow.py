"""Reading, segmenting and writing: in order, at the same time, and ended cleanly whatever happens."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from afformer import assets
from afformer.errors import BackendError, OutputError
from afformer.images import ClassMap, RGBImage
from afformer.runtime.segmenter import Segmenter
from afformer.streams.flow import Ending, FlowReport, segment_stream
from afformer.streams.live import LiveSource, Retry, open_stream
from afformer.streams.sinks import FolderSink, JsonLinesSink, Output, Sink
from afformer.streams.smoothing import Smoothing
from afformer.streams.sources import Frame, Source, open_source
from afformer.streams.video import VideoSink
from afformer.streams.window import Window
from tests.builders.fake_backend import FakeBackend
from tests.builders.tiny_onnx import SPEC
from tests.builders.videos import (
    RENDERER,
    SIZE_HW,
    FakeCamera,
    SimulatedWorld,
    by_brightness,
    facts,
    mjpeg_server,
    street,
    write_clip,
)
from tests.streams.test_window import FakeGui

ROOT = Path(__file__).parents[2]
Mark = Callable[[str, int], None]


class EndlessCamera(FakeCamera):
    """A camera that never stops."""

    def read(self, image: object = None, /) -> tuple[bool, object]:
        time.sleep(0.005)
        return True, np.full((*SIZE_HW, 3), 100, np.uint8)


class Numbers(Source):
    """Pictures of one grey level, their number; calls `mark` before each is read."""

    def __init__(self, count: int, mark: Mark = lambda *_: None) -> None:
        self.count, self.mark, self.closed = count, mark, False
        self.recycled: list[int] = []

    def __iter__(self) -> Iterator[Frame]:
        for i in range(self.count):
            self.mark("read", i)
            yield Frame(i, f"f{i}", np.full((2, 3, 3), i, np.uint8))

    def recycle(self, frame: Frame) -> None:
        self.recycled.append(frame.index)

    def close(self) -> None:
        self.closed = True


class Notes(Sink):
    """Keeps index and first class id of every frame; calls `mark` before each is written."""

    def __init__(self, mark: Mark = lambda *_: None) -> None:
        self.mark, self.seen, self.closed = mark, list[tuple[int, int]](), False

    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:
        self.mark("write", frame.index)
        self.seen.append((frame.index, int(classmap[0, 0])))
        return [Path(frame.name)]

    def close(self) -> list[Path]:
        self.closed = True
        return [Path("finished")]


def number_of(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
    return np.add(image[..., 0], 0, out=out)


def fails_at(stage: str, number: int, error: Exception) -> Mark:
    def mark(where: str, index: int) -> None:
        if (where, index) == (stage, number):
            raise error

    return mark


def test_every_frame_goes_through_once_in_order_and_everything_is_closed() -> None:
    source, sinks, told = Numbers(50), [Notes(), Notes()], []
    report = segment_stream(
        number_of, source, sinks, on_frame=lambda frame, _, files: told.append((frame.index, files))
    )
    assert sinks[0].seen == sinks[1].seen == [(i, i) for i in range(50)]
    assert source.recycled == list(range(50))
    assert told[7] == (7, [Path("f7"), Path("f7")])
    assert (report.frames, report.dropped, report.failures, report.ending) == (50, 0, [], Ending.SOURCE)
    assert report.finished == [Path("finished")] * 2
    assert source.closed
    assert all(sink.closed for sink in sinks)


def test_reading_segmenting_and_writing_happen_at_the_same_time() -> None:
    """Each stage waits within a frame for the stage before it to be at the next one: alone it would wait in vain."""
    begun = {(stage, i): threading.Event() for stage in ("read", "segment", "write") for i in range(8)}

    def mark(stage: str, i: int) -> None:
        begun[stage, i].set()
        before = {"segment": "read", "write": "segment"}.get(stage)
        if before and i < 7:
            assert begun[before, i + 1].wait(10), f"{before} {i + 1} did not begin while {stage} {i} went on"

    def segment(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        mark("segment", int(image[0, 0, 0]))
        return number_of(image)

    assert segment_stream(segment, Numbers(8, mark), [Notes(mark)]).frames == 8


def test_a_timeline_with_a_backend_of_known_cost_shows_the_overlap() -> None:
    cost, frames, started = 0.02, 20, list[tuple[str, int]]()

    def mark(stage: str, i: int) -> None:
        started.append((stage, i))
        time.sleep(cost)

    segmenter = Segmenter(FakeBackend(SPEC, cost_s=cost))
    report = segment_stream(segmenter, Numbers(frames, mark), [Notes(mark)])
    assert min(report.stages.read, report.stages.segment, report.stages.write) >= frames * cost
    assert (
        report.seconds < 0.7 * dataclasses.astuple(report.stages)[0] * 3
    )  # a third is perfect, all of it is no overlap
    ahead = [started.index(("read", i + 1)) < started.index(("write", i)) for i in range(frames - 1)]
    assert all(ahead)


def test_reading_does_not_run_away_from_writing() -> None:
    started: list[tuple[str, int]] = []

    def mark(stage: str, i: int) -> None:
        started.append((stage, i))
        if stage == "write":
            time.sleep(0.002)

    segment_stream(number_of, Numbers(40, mark), [Notes(mark)])
    ahead = [sum(1 for stage, _ in started[: started.index(("write", i))] if stage == "read") - i for i in range(40)]
    assert max(ahead) <= 8


@pytest.mark.parametrize("stage", ["read", "segment", "write"])
def test_an_error_in_any_stage_ends_all_after_the_frames_before_it(stage: str) -> None:
    mark = fails_at(stage, 5, BackendError("broken at 5"))

    def segment(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        mark("segment", int(image[0, 0, 0]))
        return number_of(image)

    before, source, sink = threading.active_count(), Numbers(30, mark), Notes(mark)
    with pytest.raises(BackendError, match="broken at 5"):
        segment_stream(segment, source, [sink])
    assert sink.seen == [(i, i) for i in range(5)]
    assert (source.closed, sink.closed) == (True, True)
    assert threading.active_count() == before


def test_a_sink_that_cannot_be_finished_is_an_error_and_the_others_are_finished() -> None:
    class Full(Notes):
        def close(self) -> list[Path]:
            raise OutputError("the disk is full")

    source, other = Numbers(3), Notes()
    with pytest.raises(OutputError, match="the disk is full"):
        segment_stream(number_of, source, [Full(), other])
    assert (source.closed, other.closed) == (True, True)


def test_pictures_that_cannot_be_read_are_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    for name in ("1.png", "3.png"):
        cv2.imwrite(str(tmp_path / name), np.full((4, 4, 3), 200, np.uint8))
    (tmp_path / "2.png").write_bytes(b"broken")
    notes = Notes()
    report = segment_stream(by_brightness, open_source(tmp_path), [notes])
    assert notes.seen == [(0, 3), (2, 3)]
    assert [frame.path for frame in report.failures] == [tmp_path / "2.png"]
    assert (report.frames, report.ending) == (2, Ending.SOURCE)


def test_the_caller_can_stop_it() -> None:
    stop, source = threading.Event(), Numbers(10_000)
    report = segment_stream(
        number_of, source, [], stop=stop, on_frame=lambda frame, *_: stop.set() if frame.index == 3 else None
    )
    assert (report.frames, report.ending, source.closed) == (4, Ending.STOPPED, True)


def test_quitting_in_the_window_ends_it_and_closes_the_window() -> None:
    gui = FakeGui("", "", "q")
    report = segment_stream(by_brightness, Numbers(100), [], window=Window(RENDERER, gui))
    assert (report.frames, report.ending, gui.open) == (3, Ending.QUIT, False)
    assert len(gui.pictures) == 3


def test_the_window_can_be_quit_while_a_stream_gives_no_pictures() -> None:
    stop, camera = threading.Event(), FakeCamera(7)
    in_vain = threading.Timer(10, stop.set)
    in_vain.start()
    source = LiveSource(lambda: camera, "fake")
    report = segment_stream(by_brightness, source, [], stop=stop, window=Window(RENDERER, FakeGui("", "", "q")))
    in_vain.cancel()
    camera.unplugged.set()
    assert (report.frames, report.ending) == (1, Ending.QUIT)


def test_a_pause_in_the_window_ends_when_the_caller_stops_it() -> None:
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    report = segment_stream(by_brightness, Numbers(100), [], window=Window(RENDERER, FakeGui(" ")), stop=stop)
    assert (report.frames, report.ending) == (1, Ending.STOPPED)


def test_smoothing_comes_before_all_sinks() -> None:
    notes = Notes()
    segment_stream(lambda image, *, out: number_of(image) % 5 // 4, Numbers(10), [notes], smoothing=Smoothing(2))
    assert notes.seen == [(i, 0) for i in range(10)]


def test_class_maps_are_used_again_once_they_are_written_and_never_before() -> None:
    given: list[int] = []
    held: list[ClassMap] = []

    def segment(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        result = number_of(image, out=out)
        given.append(id(result))
        held.append(result)
        return result

    notes = Notes()
    segment_stream(segment, Numbers(100), [notes])
    assert notes.seen == [(i, i) for i in range(100)]
    assert len(set(given)) <= 8


def test_an_empty_source_is_a_report_of_nothing(tmp_path: Path) -> None:
    report = segment_stream(number_of, Numbers(0), [VideoSink(tmp_path / "a.mp4", RENDERER)])
    assert (report.frames, report.finished, list(tmp_path.iterdir())) == (0, [], [])


def test_a_video_goes_through_every_sink(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "street.mp4", frames=10, fps=20)
    renderer = RENDERER
    sinks = [
        VideoSink(tmp_path / "out.mp4", renderer, 20),
        FolderSink(tmp_path / "masks", renderer, [Output.MASK]),
        JsonLinesSink(tmp_path / "out.jsonl", renderer.classes),
    ]
    gui = FakeGui()
    source = open_source(clip)
    report = segment_stream(by_brightness, source, sinks, smoothing=Smoothing(3), window=Window(renderer, gui))
    assert report.finished == [tmp_path / "out.mp4", tmp_path / "out.jsonl"]
    assert facts(tmp_path / "out.mp4") == (10, 20.0, SIZE_HW)
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == [
        f"street_{i:06d}_mask.png" for i in range(10)
    ]
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(10))
    assert lines[4]["time_s"] == pytest.approx(0.2)
    assert len(gui.pictures) == report.frames == 10


def test_the_bundled_model_segments_a_video(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "street.mp4", frames=2)
    roads: list[float] = []
    with Segmenter(assets.MODEL, threads=1) as segmenter:
        segment_stream(
            segmenter, open_source(clip), [], on_frame=lambda _, classmap, __: roads.append((classmap != 0).mean())
        )
    assert len(roads) == 2
    assert min(roads) > 0.5


def test_pictures_with_numbers_become_a_video(tmp_path: Path) -> None:
    for i, image in enumerate(street(5)):
        cv2.imwrite(str(tmp_path / f"in_{i:04d}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    sink = VideoSink(tmp_path / "out.mp4", RENDERER)
    report = segment_stream(by_brightness, open_source(str(tmp_path / "in_%04d.png")), [sink])
    assert report.frames == facts(tmp_path / "out.mp4")[0] == 5


def test_a_real_http_stream_is_segmented_until_it_is_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    with mjpeg_server(frames_per_connection=100_000) as url:
        source = open_stream(url, Retry(attempts=1))
        sink = VideoSink(tmp_path / "out.mp4", RENDERER, 25, paced=True)
        report = segment_stream(
            by_brightness, source, [sink], stop=stop, on_frame=lambda frame, *_: frame.index > 20 and stop.set()
        )
    assert report.ending is Ending.STOPPED
    assert report.frames > 0
    assert report.frames + report.dropped <= source.captured
    assert facts(tmp_path / "out.mp4")[0] == sink.frames > 0


@pytest.mark.parametrize(("cost_s", "steps"), [(0.095, {2, 3}), (0.11, {3, 4}), (0.01, {1})])
def test_the_newest_frame_is_segmented_and_the_delay_does_not_grow(cost_s: float, steps: set[int]) -> None:
    world, notes = SimulatedWorld(frames=900, fps=30, cost_s=cost_s), Notes()
    report = segment_stream(world.segment, world.source, [notes], stop=world.over)
    seen = [index for index, _ in notes.seen]
    assert set(np.diff(seen).tolist()) == steps
    assert report.worst_age_s <= 1 / 30 + 1e-9  # at its start; the result is there after one call more
    assert world.source.captured == 900
    assert report.dropped == world.source.dropped
    assert 0 <= 900 - report.dropped - report.frames <= 2  # what was under way when time was over


def test_memory_and_threads_stay_the_same_over_hundreds_of_frames(tmp_path: Path) -> None:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("the system does not say how much memory a process has")
    clip = write_clip(tmp_path / "a.mp4", frames=300, size_hw=(240, 320))
    pages: list[int] = []

    def watch(frame: Frame, _: ClassMap, __: list[Path]) -> None:
        pages.append(int(statm.read_text().split()[1]))

    for _ in range(2):
        sinks = [VideoSink(tmp_path / "out.mp4", RENDERER), JsonLinesSink(tmp_path / "out.jsonl", RENDERER.classes)]
        segment_stream(by_brightness, open_source(clip), sinks, smoothing=Smoothing(3), on_frame=watch)
        threads, handles = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    assert (max(pages[100:]) - pages[99]) * os.sysconf("SC_PAGE_SIZE") < 10e6
    segment_stream(by_brightness, open_source(clip), [])
    gc.collect()
    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == (threads, handles)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to whole process groups")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["file", "live"])
def test_ctrl_c_leaves_a_valid_video_and_no_partial_file(tmp_path: Path, kind: str, number: signal.Signals) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code = (
        "import sys, time\n"
        "from tests.streams.test_flow import *\n"
        "clip, out, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]\n"
        "source = open_source(clip) if kind == 'file' else LiveSource(EndlessCamera, 'fake')\n"
        "sinks = [VideoSink(out / 'a.mp4', RENDERER), JsonLinesSink(out / 'a.jsonl', RENDERER.classes)]\n"
        "def segment(image, out): time.sleep(0.01); return by_brightness(image)\n"
        "report = segment_stream(segment, source, sinks, on_frame=lambda *_: print('frame', flush=True))\n"
        "print(report.ending.name, report.frames)"
    )
    clip = write_clip(tmp_path / "a.mp4", frames=350)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(clip), str(out), kind],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for _ in range(5):
        assert process.stdout.readline() == "frame\n"
    process.send_signal(number)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    ending, frames = rest.splitlines()[-1].split()
    assert ending == "INTERRUPTED"
    assert sorted(path.name for path in out.iterdir()) == ["a.jsonl", "a.mp4"]
    assert facts(out / "a.mp4")[0] == len((out / "a.jsonl").read_text().splitlines()) == int(frames) < 350


def test_signals_mean_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    segment_stream(number_of, Numbers(2), [])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_another_thread_than_the_main_one_can_run_it() -> None:
    reports: queue.Queue[FlowReport] = queue.Queue()
    threading.Thread(target=lambda: reports.put(segment_stream(number_of, Numbers(3), []))).start()
    assert reports.get(timeout=10).frames == 3

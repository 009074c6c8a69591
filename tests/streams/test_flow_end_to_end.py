"""Videos, streams and cameras from their source to the last file."""

from __future__ import annotations

import gc
import json
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from afformer import assets
from afformer.images import ClassMap
from afformer.runtime.segmenter import Segmenter
from afformer.streams.choices import Output
from afformer.streams.flow import segment_stream
from afformer.streams.flow_report import Ending
from afformer.streams.frames import Frame
from afformer.streams.live import Retry, open_stream
from afformer.streams.sinks import FolderSink, JsonLinesSink
from afformer.streams.smoothing import Smoothing
from afformer.streams.sources import open_source
from afformer.streams.video_sink import VideoSink
from afformer.streams.window import Window
from tests.builders.fake_gui import FakeGui
from tests.builders.flows import RecordingSink
from tests.builders.videos import (
    RENDERER,
    SIZE_HW,
    SimulatedWorld,
    by_brightness,
    facts,
    mjpeg_server,
    street,
    write_clip,
)


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

        def enough(frame: Frame, *_: object) -> None:
            if frame.index > 20:
                stop.set()

        report = segment_stream(by_brightness, source, [sink], stop=stop, on_frame=enough)
    assert report.ending is Ending.STOPPED
    assert report.frames > 0
    assert report.frames + report.dropped <= source.captured
    assert facts(tmp_path / "out.mp4")[0] == sink.frames > 0


@pytest.mark.parametrize(("cost_s", "steps"), [(0.095, {2, 3}), (0.11, {3, 4}), (0.01, {1})])
def test_the_newest_frame_is_segmented_and_the_delay_does_not_grow(cost_s: float, steps: set[int]) -> None:
    world, sink = SimulatedWorld(frames=900, fps=30, cost_s=cost_s), RecordingSink()
    report = segment_stream(world.segment, world.source, [sink], stop=world.over)
    seen = [index for index, _ in sink.seen]
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

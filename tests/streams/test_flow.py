"""Reading, segmenting and writing: in order, at the same time, and ended cleanly whatever happens."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from afformer.errors import BackendError, OutputError
from afformer.images import ClassMap, RGBImage
from afformer.streams.flow import segment_stream
from afformer.streams.flow_report import Ending, StageSeconds
from afformer.streams.smoothing import Smoothing
from afformer.streams.sources import open_source
from afformer.streams.video_sink import VideoSink
from tests.builders.flows import NumberedFrames, RecordingSink, fails_at, number_of
from tests.builders.videos import RENDERER, by_brightness


def test_every_frame_goes_through_once_in_order_and_everything_is_closed() -> None:
    source, sinks, told = NumberedFrames(50), [RecordingSink(), RecordingSink()], []
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

    def on_stage(stage: str, i: int) -> None:
        begun[stage, i].set()
        before = {"segment": "read", "write": "segment"}.get(stage)
        if before and i < 7:
            assert begun[before, i + 1].wait(10), f"{before} {i + 1} did not begin while {stage} {i} went on"

    def segment(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        on_stage("segment", int(image[0, 0, 0]))
        return number_of(image)

    assert segment_stream(segment, NumberedFrames(8, on_stage), [RecordingSink(on_stage)]).frames == 8


def test_the_report_gives_each_stage_its_own_work_without_waiting_for_the_others() -> None:
    """On a clock of its own for each thread, which only the work of that thread advances."""
    cost, thread = {"read": 2.0, "segment": 0.5, "write": 3.0}, threading.local()

    def clock() -> float:
        return getattr(thread, "now", 0.0)

    def on_stage(stage: str, _: int) -> None:
        thread.now = clock() + cost[stage]

    def segment(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        on_stage("segment", 0)
        return number_of(image)

    report = segment_stream(segment, NumberedFrames(20, on_stage), [RecordingSink(on_stage)], clock=clock)
    assert report.stages == StageSeconds(read=40, segment=10, write=60)
    assert report.seconds == 60  # on the clock of the caller's thread


def test_reading_does_not_run_away_from_writing() -> None:
    started: list[tuple[str, int]] = []

    def on_stage(stage: str, i: int) -> None:
        started.append((stage, i))
        if stage == "write":
            time.sleep(0.002)

    segment_stream(number_of, NumberedFrames(40, on_stage), [RecordingSink(on_stage)])
    ahead = [sum(1 for stage, _ in started[: started.index(("write", i))] if stage == "read") - i for i in range(40)]
    assert max(ahead) <= 8


@pytest.mark.parametrize("stage", ["read", "segment", "write"])
def test_an_error_in_any_stage_ends_all_after_the_frames_before_it(stage: str) -> None:
    on_stage = fails_at(stage, 5, BackendError("broken at 5"))

    def segment(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        on_stage("segment", int(image[0, 0, 0]))
        return number_of(image)

    before, source, sink = threading.active_count(), NumberedFrames(30, on_stage), RecordingSink(on_stage)
    with pytest.raises(BackendError, match="broken at 5"):
        segment_stream(segment, source, [sink])
    assert sink.seen == [(i, i) for i in range(5)]
    assert (source.closed, sink.closed) == (True, True)
    assert threading.active_count() == before


def test_a_sink_that_cannot_be_finished_is_an_error_and_the_others_are_finished() -> None:
    class Full(RecordingSink):
        def close(self) -> list[Path]:
            raise OutputError("the disk is full")

    source, other = NumberedFrames(3), RecordingSink()
    with pytest.raises(OutputError, match="the disk is full"):
        segment_stream(number_of, source, [Full(), other])
    assert (source.closed, other.closed) == (True, True)


def test_pictures_that_cannot_be_read_are_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    for name in ("1.png", "3.png"):
        cv2.imwrite(str(tmp_path / name), np.full((4, 4, 3), 200, np.uint8))
    (tmp_path / "2.png").write_bytes(b"broken")
    sink = RecordingSink()
    report = segment_stream(by_brightness, open_source(tmp_path), [sink])
    assert sink.seen == [(0, 3), (2, 3)]
    assert [frame.path for frame in report.failures] == [tmp_path / "2.png"]
    assert (report.frames, report.ending) == (2, Ending.SOURCE)


def test_the_caller_can_stop_it() -> None:
    stop, source = threading.Event(), NumberedFrames(10_000)
    report = segment_stream(
        number_of, source, [], stop=stop, on_frame=lambda frame, *_: stop.set() if frame.index == 3 else None
    )
    assert (report.frames, report.ending, source.closed) == (4, Ending.STOPPED, True)


def test_smoothing_comes_before_all_sinks() -> None:
    sink = RecordingSink()

    def every_fifth(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        return number_of(image) % 5 // 4

    segment_stream(every_fifth, NumberedFrames(10), [sink], smoothing=Smoothing(2))
    assert sink.seen == [(i, 0) for i in range(10)]


def test_class_maps_are_used_again_once_they_are_written_and_never_before() -> None:
    given: list[int] = []
    held: list[ClassMap] = []

    def segment(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        result = number_of(image, out=out)
        given.append(id(result))
        held.append(result)
        return result

    sink = RecordingSink()
    segment_stream(segment, NumberedFrames(100), [sink])
    assert sink.seen == [(i, i) for i in range(100)]
    assert len(set(given)) <= 8


def test_an_empty_source_is_a_report_of_nothing(tmp_path: Path) -> None:
    report = segment_stream(number_of, NumberedFrames(0), [VideoSink(tmp_path / "a.mp4", RENDERER)])
    assert (report.frames, report.finished, list(tmp_path.iterdir())) == (0, [], [])

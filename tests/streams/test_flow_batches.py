"""Frames in groups, for models that were exported with a batch."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from afformer.errors import BackendError
from afformer.images import ClassMap, RGBImage
from afformer.runtime.segmenter import Segmenter
from afformer.streams.flow import segment_stream
from afformer.streams.frames import Frame
from afformer.streams.live import LiveSource
from afformer.streams.sources import open_source
from tests.builders.fake_backend import FakeBackend
from tests.builders.flows import NumberedFrames, OnStage, RecordingSink, fails_at, number_of
from tests.builders.tiny_onnx import SPEC
from tests.builders.videos import FakeCamera, street


class InFours:
    """Segments four pictures of numbers at a time; sink which."""

    batch = 4

    def __init__(self, on_stage: OnStage = lambda *_: None) -> None:
        self.on_stage, self.groups = on_stage, list[list[int]]()

    def __call__(self, image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        return self.segment_batch([image], out=[out])[0]

    def segment_batch(
        self, images: Sequence[RGBImage], /, *, out: Sequence[ClassMap | None] | None = None
    ) -> list[ClassMap]:
        self.groups.append([int(image[0, 0, 0]) for image in images])
        self.on_stage("segment", self.groups[-1][0])
        return [number_of(image, out=to) for image, to in zip(images, out or [None] * len(images), strict=True)]


def test_files_are_segmented_in_groups_where_the_model_takes_a_batch(tmp_path: Path) -> None:
    for i, image in enumerate(street(10)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image[: 60 + i])
    found: list[list[ClassMap]] = []
    single, batched = FakeBackend(SPEC), FakeBackend(dataclasses.replace(SPEC, batch=4))
    for backend in (single, batched):
        maps: list[ClassMap] = []

        def take(frame: Frame, classmap: ClassMap, files: list[Path], maps: list[ClassMap] = maps) -> None:
            maps.append(classmap.copy())

        assert segment_stream(Segmenter(backend), open_source(tmp_path), [], on_frame=take).frames == 10
        found.append(maps)
    assert (len(single.calls), len(batched.calls)) == (10, 3)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_groups_keep_the_order_and_lose_nothing() -> None:
    sink, fours = RecordingSink(), InFours()
    segment_stream(fours, NumberedFrames(50), [sink])
    assert sink.seen == [(i, i) for i in range(50)]
    assert fours.groups == [list(range(i, min(i + 4, 50))) for i in range(0, 50, 4)]


def test_pictures_that_cannot_be_read_leave_their_places_in_a_group_empty(tmp_path: Path) -> None:
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((4, 4, 3), i, np.uint8))
    (tmp_path / "2.png").write_bytes(b"broken")
    sink, fours = RecordingSink(), InFours()
    report = segment_stream(fours, open_source(tmp_path), [sink])
    assert sink.seen == [(i, i) for i in (0, 1, 3, 4, 5)]
    assert fours.groups == [[0, 1, 3], [4, 5]]
    assert [frame.index for frame in report.failures] == [2]


def test_an_error_ends_the_flow_after_the_frames_before_it_even_within_a_group() -> None:
    sink = RecordingSink()
    with pytest.raises(BackendError, match="broken at 6"):
        segment_stream(InFours(), NumberedFrames(30, fails_at("read", 6, BackendError("broken at 6"))), [sink])
    assert sink.seen == [(i, i) for i in range(6)]


def test_while_a_group_is_segmented_the_next_is_read_and_the_one_before_is_written() -> None:
    begun = {(stage, i): threading.Event() for stage in ("read", "segment", "write") for i in range(24)}

    def on_stage(stage: str, i: int) -> None:
        begun[stage, i].set()
        waits = {"segment": ("read", i + 7), "write": ("segment", i // 4 * 4 + 4)}.get(stage)
        if waits and waits[1] < 24:
            assert begun[waits].wait(10), f"{waits} did not begin while {stage} {i} went on"

    assert segment_stream(InFours(on_stage), NumberedFrames(24, on_stage), [RecordingSink(on_stage)]).frames == 24


def test_a_live_frame_does_not_wait_for_others_to_fill_a_batch() -> None:
    stop, camera, fours = threading.Event(), FakeCamera(7), InFours()
    in_vain = threading.Timer(10, stop.set)
    in_vain.start()
    source = LiveSource(lambda: camera, "fake")

    def unplug(*_: object) -> None:
        stop.set()
        camera.unplugged.set()

    report = segment_stream(fours, source, [], stop=stop, on_frame=unplug)
    in_vain.cancel()
    assert (report.frames, fours.groups) == (1, [[7]])


def test_groups_use_class_maps_again_too() -> None:
    held: list[ClassMap] = []

    class Holding(InFours):
        def segment_batch(self, images: Sequence[RGBImage], /, **options: Any) -> list[ClassMap]:
            held.extend(classmaps := super().segment_batch(images, **options))
            return classmaps

    sink = RecordingSink()
    segment_stream(Holding(), NumberedFrames(100), [sink])
    assert sink.seen == [(i, i) for i in range(100)]
    assert len({id(classmap) for classmap in held}) <= 16

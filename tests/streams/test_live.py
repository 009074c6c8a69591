"""Cameras and streams: simulated ones, and real HTTP and RTSP streams on this machine."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest

from afformer.errors import ImageError
from afformer.streams.frames import Frame
from afformer.streams.live import LiveSource, Retry, open_camera, open_stream
from afformer.streams.sources import open_source
from tests.builders.rtsp_server import FPS, rtsp_server
from tests.builders.videos import SIZE_HW, FakeCamera, mjpeg_server, street


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What the module has said."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("afformer.streams.live")
    logger.addHandler(handler)
    logger.propagate = False
    yield messages
    logger.removeHandler(handler)
    logger.propagate = True


def until(condition: Callable[[], bool]) -> None:
    """Waits for another thread, for ten seconds at most."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("waited in vain")


def level(frame: Frame) -> int:
    return int(frame.image[0, 0, 0])


@contextmanager
def live(*cameras: FakeCamera | None, what: str = "fake", **options: Any) -> Iterator[LiveSource]:
    """A source that finds these cameras, one at each connection; None refuses it."""
    left = iter(cameras)

    def connect() -> FakeCamera:
        camera = next(left, None)
        if camera is None:
            raise ImageError("fake: cannot be reached")
        return camera

    source = LiveSource(connect, what, **options)
    try:
        yield source
    finally:
        source.stop()
        for camera in filter(None, cameras):
            camera.unplugged.set()
        source.close()


def test_the_newest_frame_is_given_and_older_ones_are_dropped_and_counted() -> None:
    camera = FakeCamera(10)
    with live(camera) as source:
        frames = iter(source)
        assert level(next(frames)) == 10
        for number in (11, 12, 13, 14):
            camera.pictures.put(number)
        until(lambda: source.captured == 5)
        frame = next(frames)
        assert (level(frame), frame.index, frame.name, source.dropped) == (14, 4, "live_000004", 3)
    assert camera.released.is_set()


def test_no_frame_comes_twice() -> None:
    camera = FakeCamera(10)
    with live(camera) as source:
        frames = iter(source)
        next(frames)
        threading.Timer(0.05, camera.pictures.put, [11]).start()
        assert level(next(frames)) == 11
        assert source.dropped == 0


def test_frames_carry_time_stamps_and_know_their_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 86_400.5)
    camera, now = FakeCamera(1), itertools.count(100)
    with live(camera, clock=lambda: next(now)) as source:
        frames = iter(source)
        first = next(frames)
        camera.pictures.put(2)
        second = next(frames)
        assert (first.time_s, second.time_s) == (0, 1)
        assert source.age_s(second) == 1
        assert second.captured_at == 86_400.5


def test_a_source_is_live_and_has_the_rate_of_its_camera() -> None:
    for fps, expected in ((15.0, 15.0), (0.0, None), (90_000.0, None)):
        camera = FakeCamera(fps=fps)
        with live(camera) as source:
            assert (source.live, source.fps, source.length) == (True, expected, None)
        assert camera.released.is_set()


def test_a_picture_in_use_is_never_overwritten() -> None:
    camera = FakeCamera(1)
    with live(camera) as source:
        held = []
        for number, frame in zip(range(2, 8), source, strict=False):
            held.append(frame)
            camera.pictures.put(number)
        assert [level(frame) for frame in held] == [1, 2, 3, 4, 5, 6]


def test_a_stream_that_breaks_is_tried_again_with_growing_pauses_and_says_so(said: list[str]) -> None:
    pauses: list[float] = []
    cameras = FakeCamera(1, None), None, None, FakeCamera(2, None), FakeCamera(3)
    with live(*cameras, what="rtsp://gate", pause=pauses.append) as source:
        assert next(level(frame) for frame in source if level(frame) == 3)
        assert pauses == [1, 2, 4, 1]
        assert source.reconnects == 2
    assert said == [
        "rtsp://gate: gives no pictures; trying again in 1 s",
        "rtsp://gate: gives no pictures; trying again in 2 s",
        "rtsp://gate: gives no pictures; trying again in 4 s",
        "rtsp://gate: is back",
        "rtsp://gate: gives no pictures; trying again in 1 s",
        "rtsp://gate: is back",
    ]


def test_a_stream_that_connects_but_gives_nothing_does_not_count_as_back(said: list[str]) -> None:
    pauses: list[float] = []
    cameras = FakeCamera(None), FakeCamera(None), FakeCamera(None), FakeCamera(7)
    with live(*cameras, pause=pauses.append) as source:
        assert level(next(iter(source))) == 7
    assert pauses == [1, 2, 4]
    assert said.count("fake: is back") == 1


@pytest.mark.usefixtures("said")
def test_giving_up_is_one_clear_line_after_the_last_picture() -> None:
    with live(FakeCamera(1, None), retry=Retry(attempts=3), pause=lambda _: None) as source:
        frames = iter(source)
        assert level(next(frames)) == 1
        with pytest.raises(ImageError, match="fake: gives no more pictures, and 3 attempts to reach it again failed"):
            next(frames)


def test_pauses_grow_up_to_a_limit() -> None:
    assert list(itertools.islice(Retry().pauses(), 8)) == [1, 2, 4, 8, 16, 30, 30, 30]
    assert list(Retry(0.5, 3, 4, attempts=4).pauses()) == [0.5, 1.5, 4, 4]


def test_stopping_ends_an_iteration_that_waits() -> None:
    with live(FakeCamera()) as source:
        threading.Timer(0.05, source.stop).start()
        assert list(source) == []


def test_stopping_ends_a_pause(said: list[str]) -> None:
    before = threading.active_count()
    with live(FakeCamera(None), retry=Retry(first_s=1000)) as source:

        def stop_in_the_pause() -> None:
            until(lambda: bool(said))
            source.stop()

        threading.Thread(target=stop_in_the_pause).start()
        assert list(source) == []
    until(lambda: threading.active_count() == before)


def test_a_bug_in_the_camera_is_not_hidden() -> None:
    class Broken(FakeCamera):
        def read(self, image: object = None, /) -> tuple[bool, object]:
            raise RuntimeError("bug")

    with live(Broken()) as source, pytest.raises(RuntimeError, match="bug"):
        next(iter(source))


@pytest.mark.parametrize("device", [97, "/dev/video97"])
def test_a_camera_that_is_not_there_is_one_clear_line(capfd: pytest.CaptureFixture[str], device: int | str) -> None:
    with pytest.raises(ImageError, match=r"97: is not there, or another program uses it; .*/dev/video") as caught:
        open_camera(device)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_stream_that_cannot_be_reached_is_one_clear_line_without_the_password(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ImageError, match="cannot be reached, or is not a video stream") as caught:
        open_stream("http://me:secret@127.0.0.1:9/stream")
    assert str(caught.value).startswith("http://127.0.0.1:9/stream: ")
    assert capfd.readouterr().err == ""


def test_a_real_http_stream_is_read_and_reached_again_when_it_breaks(said: list[str]) -> None:
    with mjpeg_server(frames_per_connection=60) as url, open_stream(url, Retry(first_s=0.01)) as source:
        for frame in source:
            assert frame.image.shape == (*SIZE_HW, 3)
            source.recycle(frame)
            if source.reconnects:
                break
        assert source.captured > 60
    assert said[-1] == f"{url}: is back"


def test_a_stream_of_bare_pictures_has_no_rate_whatever_ffmpeg_makes_up() -> None:
    with mjpeg_server(frames_per_connection=100_000) as url, open_stream(url) as source:
        assert source.fps is None


def test_a_camera_that_sends_motion_jpeg_keeps_its_rate() -> None:
    class Webcam(FakeCamera):
        def get(self, prop: int, /) -> float:
            known = {cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"MJPG"), cv2.CAP_PROP_FRAME_COUNT: -1}
            return known.get(prop, super().get(prop))

    with live(Webcam(fps=25)) as source:
        assert source.fps == 25


def test_a_real_rtsp_stream_gives_the_pictures_that_were_sent() -> None:
    sent = street(8)
    with rtsp_server(frames_per_connection=100_000) as url, open_source(url) as source:
        assert (source.live, source.fps) == (True, FPS)
        for frame in itertools.islice(source, 5):
            errors = [np.abs(frame.image.astype(int) - picture).mean() for picture in sent]
            assert min(errors) < 4 < sorted(errors)[1]  # what JPEG loses, against two pixels of the ride


def test_a_real_rtsp_stream_that_breaks_is_reached_again_after_growing_pauses(said: list[str]) -> None:
    with rtsp_server(40, refused=range(2, 4)) as url, open_stream(url, Retry(first_s=0.01)) as source:
        for frame in source:
            source.recycle(frame)
            if source.reconnects:
                break
    assert said[:4] == [
        *(f"{url}: gives no pictures; trying again in {pause} s" for pause in (0.01, 0.02, 0.04)),
        f"{url}: is back",
    ]


def test_a_real_rtsp_stream_that_stalls_counts_as_broken(
    said: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("afformer.streams.live._TIMEOUT_MS", 1500)
    with rtsp_server(20, stalls=True) as url, open_stream(url, Retry(first_s=0.01)) as source:
        assert any(source.reconnects for _ in source)
    assert (said[0], said[-1]) == (f"{url}: gives no pictures; trying again in 0.01 s", f"{url}: is back")
    assert capfd.readouterr().err == ""


def test_a_server_that_refuses_an_rtsp_stream_is_one_clear_line(capfd: pytest.CaptureFixture[str]) -> None:
    with rtsp_server(0, refused=range(1, 9)) as url, pytest.raises(ImageError, match="cannot be reached"):
        open_source(url)
    assert capfd.readouterr().err == ""

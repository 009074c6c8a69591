"""A flow with a window: quitting and pausing."""

from __future__ import annotations

import threading

from afformer.streams.flow import segment_stream
from afformer.streams.flow_report import Ending
from afformer.streams.live import LiveSource
from afformer.streams.window import Window
from tests.builders.fake_gui import FakeGui
from tests.builders.flows import NumberedFrames
from tests.builders.videos import RENDERER, FakeCamera, by_brightness


def test_quitting_in_the_window_ends_it_and_closes_the_window() -> None:
    gui = FakeGui("", "", "q")
    report = segment_stream(by_brightness, NumberedFrames(100), [], window=Window(RENDERER, gui))
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
    report = segment_stream(by_brightness, NumberedFrames(100), [], window=Window(RENDERER, FakeGui(" ")), stop=stop)
    assert (report.frames, report.ending) == (1, Ending.STOPPED)

"""Keys, pause, frames a second and screenshots, with a toolkit that only pretends."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from afformer.errors import OutputError
from afformer.images import read_image
from afformer.streams.frames import Frame
from afformer.streams.window import OpenCvGui, Window
from tests.builders.fake_gui import FakeGui
from tests.builders.videos import RENDERER, by_brightness, street

IMAGE = street(1)[0]
FRAME, CLASSMAP = Frame(0, "street", IMAGE), by_brightness(IMAGE)


def test_a_frame_is_shown_as_its_overlay() -> None:
    gui = FakeGui()
    assert Window(RENDERER, gui).show(FRAME, CLASSMAP)
    np.testing.assert_array_equal(gui.pictures[0], RENDERER.overlay(IMAGE, CLASSMAP))


@pytest.mark.parametrize("key", ["q", "\x1b", "X"])
def test_q_escape_and_closing_the_window_end_it(key: str) -> None:
    window = Window(RENDERER, FakeGui("", key))
    assert window.show(FRAME, CLASSMAP)
    assert not window.show(FRAME, CLASSMAP)


def test_keys_that_mean_nothing_do_nothing() -> None:
    assert Window(RENDERER, FakeGui("z")).show(FRAME, CLASSMAP)


def test_space_pauses_until_the_next_space() -> None:
    gui = FakeGui(" ", "", "", " ")
    assert Window(RENDERER, gui).show(FRAME, CLASSMAP)
    assert gui.keys == []
    assert len(gui.waits) == 4
    assert min(gui.waits[1:]) > gui.waits[0]  # it does not spin while it waits


def test_a_still_picture_stays_until_space_and_has_no_frames_a_second() -> None:
    gui, now = FakeGui("", "", " ", "", " ", "q"), iter([0.0, 1.0, 2.0])
    window = Window(RENDERER, gui, still=True, clock=lambda: next(now))
    assert [window.show(FRAME, CLASSMAP) for _ in range(3)] == [True, True, False]
    assert gui.keys == []
    assert window.fps == 0


def test_quitting_and_screenshots_work_while_paused(tmp_path: Path) -> None:
    window = Window(RENDERER, FakeGui(" ", "s", "", "q"), folder=tmp_path)
    assert not window.show(FRAME, CLASSMAP)
    assert [path.name for path in window.screenshots] == ["screenshot_0001.png"]


def test_a_pause_ends_when_the_flow_is_halted() -> None:
    answers = iter([False, False, True])
    gui = FakeGui(" ")
    Window(RENDERER, gui).show(FRAME, CLASSMAP, lambda: next(answers))
    assert len(gui.waits) == 3


def test_l_turns_the_legend_on_and_off() -> None:
    gui = FakeGui("l", "", "l")
    window = Window(RENDERER, gui, clock=lambda: 0.0)
    for _ in range(3):
        window.show(FRAME, CLASSMAP)
    plain, with_legend, again, before, after = gui.pictures
    assert (with_legend != plain).any()
    np.testing.assert_array_equal(with_legend, again)
    np.testing.assert_array_equal(before, with_legend)
    np.testing.assert_array_equal(after, plain)


def test_s_writes_what_is_shown_and_never_over_another_file(tmp_path: Path) -> None:
    (tmp_path / "screenshot_0001.png").write_bytes(b"from yesterday")
    gui = FakeGui("s", "s")
    window = Window(RENDERER, gui, folder=tmp_path)
    for _ in range(2):
        window.show(FRAME, CLASSMAP)
    assert [path.name for path in window.screenshots] == ["screenshot_0002.png", "screenshot_0003.png"]
    np.testing.assert_array_equal(read_image(window.screenshots[0]), gui.pictures[0])
    assert (tmp_path / "screenshot_0001.png").read_bytes() == b"from yesterday"


def test_frames_a_second_are_measured_without_the_pauses() -> None:
    now = iter([0.0, 0.1, 0.2, 60.0, 60.1])
    gui = FakeGui("", "", " ", " ")
    window = Window(RENDERER, gui, clock=lambda: next(now))
    for _ in range(5):
        window.show(FRAME, CLASSMAP)
    assert window.fps == pytest.approx(10)
    assert (gui.pictures[-1] != gui.pictures[0]).any()  # the number is drawn


def test_frames_that_came_together_after_a_pause_do_not_make_it_look_fast() -> None:
    now = iter([0.0, 0.1, 0.2, 0.3, 0.301])
    window = Window(RENDERER, FakeGui(), clock=lambda: next(now))
    for _ in range(5):
        window.show(FRAME, CLASSMAP)
    assert 10 < window.fps < 12


@pytest.mark.parametrize("key", ["q", "\x1b", "X"])
def test_while_no_frame_comes_the_window_can_be_quit(key: str) -> None:
    window = Window(RENDERER, FakeGui(" ", " ", "", key))
    window.show(FRAME, CLASSMAP)
    assert [window.idle(), window.idle()] == [True, False]


def test_a_key_that_is_pressed_between_frames_counts_at_the_next(tmp_path: Path) -> None:
    window = Window(RENDERER, FakeGui("", "s", "", ""), folder=tmp_path)
    window.show(FRAME, CLASSMAP)
    assert all((window.idle(), window.idle()))
    for _ in range(2):
        window.show(FRAME, CLASSMAP)
    assert len(window.screenshots) == 1


def test_a_window_that_has_shown_nothing_yet_is_not_taken_for_closed() -> None:
    gui = FakeGui()
    gui.open = False
    assert Window(RENDERER, gui).idle()


def test_closing_closes_the_window() -> None:
    gui = FakeGui()
    Window(RENDERER, gui).close()
    assert not gui.open


def test_an_opencv_without_windows_names_the_package_that_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                NONE\n")
    with pytest.raises(OutputError, match=r"--no-deps opencv-python`") as caught:
        OpenCvGui()
    assert "\n" not in str(caught.value)


def test_a_machine_without_a_display_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                QT5\n")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(OutputError, match="needs a display"):
        OpenCvGui()


@pytest.mark.parametrize("fails", [False, True])
def test_the_fonts_of_the_system_are_shown_to_qt_for_as_long_as_the_window_is_there(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    seen: list[str] = []

    def named_window(*_: object) -> None:
        seen.append(os.environ["QT_QPA_FONTDIR"])
        if fails:
            raise cv2.error("no window")

    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                QT5\n")
    monkeypatch.setattr(cv2, "namedWindow", named_window)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: -1.0)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("QT_QPA_FONTDIR", "/not/there")
    with pytest.raises(cv2.error) if fails else contextlib.nullcontext():
        OpenCvGui().close()
    assert seen == ["/usr/share/fonts"]
    assert os.environ["QT_QPA_FONTDIR"] == "/not/there"


@pytest.mark.skipif("NONE" in str(re.search(r"GUI:.*", cv2.getBuildInformation())), reason="this OpenCV has no windows")
@pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="no display")
def test_a_real_window_opens_waits_for_keys_and_closes(tmp_path: Path) -> None:
    gui = OpenCvGui("afformer test")
    assert Window(RENDERER, gui, folder=tmp_path).show(FRAME, CLASSMAP)
    for _ in range(100):  # some systems take their time to show it
        assert gui.key(20) == ""
        if gui.is_open():
            break
    assert gui.is_open()
    gui.close()
    assert not gui.is_open()

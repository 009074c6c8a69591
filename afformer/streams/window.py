"""The window of `--show`: overlay, frames a second, legend, and a few keys.

q or Esc  quit          space  pause and go on; the next one of pictures
s         screenshot    l      legend on and off
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from afformer.errors import ImageError, OutputError
from afformer.images import ClassMap, RGBImage, write_image
from afformer.runtime.render import Renderer
from afformer.streams.sources import Frame
from afformer.streams.video import inset

_ESCAPE = 27
_PAUSE_MS = 50
_SMOOTH = 0.9
"""Share of the old value in the time between frames of which the frames a second are shown."""


class Gui(Protocol):
    """What a window needs of a toolkit."""

    def show(self, picture: RGBImage) -> None:
        """Shows `(H, W, 3)` uint8 RGB."""
        ...

    def key(self, wait_ms: int) -> str:
        """The key pressed within so many milliseconds; empty if there was none."""
        ...

    def is_open(self) -> bool:
        """Whether the user has not closed the window."""
        ...

    def close(self) -> None:
        """Closes the window."""
        ...


class Window:
    """Shows results as they come. To be used by the main thread: some systems allow windows to no other.

    Args:
        renderer: Draws with the model's palette.
        gui: The toolkit.
        folder: Where screenshots go.
        legend: Whether the legend is shown at first.
        still: Whether each frame stays until the space bar is pressed, as pictures do that make no video.
        clock: Seconds; for tests.
    """

    def __init__(
        self,
        renderer: Renderer,
        gui: Gui,
        *,
        folder: Path = Path(),
        legend: bool = False,
        still: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.fps = 0.0
        """Frames a second of late; 0 before the second frame."""
        self.screenshots: list[Path] = []
        """Pictures written so far."""
        self._renderer, self._gui, self._folder, self._legend, self._clock = renderer, gui, folder, legend, clock
        self._still, self._begun, self._pressed = still, False, ""
        self._shown_at: float | None = None
        self._interval_s = 0.0

    def show(self, frame: Frame, classmap: ClassMap, halted: Callable[[], bool] = lambda: False) -> bool:
        """Shows a frame, which holds a picture, and obeys the keys; stays in here while paused.

        Args:
            frame: The frame.
            classmap: `(H, W)` class ids.
            halted: Says whether to stop waiting while paused.

        Returns:
            Whether to go on; False once the user has quit or closed the window.

        Raises:
            OutputError: A screenshot cannot be written.
        """
        assert not isinstance(frame.content, ImageError), "frames with errors are reported, not shown"
        self._begun = True
        self._measure()
        picture = self._draw(frame.content, classmap)
        key, paused = self._gui.key(1) or self._pressed, self._still
        self._pressed = ""
        while self._goes_on(key):
            if key == "s":
                self._screenshot(picture)
            elif key == "l":
                self._legend = not self._legend
                picture = self._draw(frame.content, classmap)
            elif key == " ":
                paused = not paused
                self._shown_at = None  # a pause is no slow frame
            if not paused or halted():
                return True
            key = self._gui.key(_PAUSE_MS)
        return False

    def idle(self) -> bool:
        """Keeps the window alive while no frame comes. Keys that quit are obeyed, others by the next frame.

        Returns:
            Whether to go on; False once the user has quit or closed the window.
        """
        if not self._begun:
            return True
        key = self._gui.key(1)
        self._pressed = key or self._pressed
        return self._goes_on(key)

    def close(self) -> None:
        """Closes the window."""
        self._gui.close()

    def _goes_on(self, key: str) -> bool:
        return self._gui.is_open() and key not in ("q", chr(_ESCAPE))

    def _measure(self) -> None:
        now = self._clock()
        if self._shown_at is not None and now > self._shown_at:
            interval = now - self._shown_at
            self._interval_s = self._interval_s * _SMOOTH + interval * (1 - _SMOOTH) if self._interval_s else interval
            self.fps = 1 / self._interval_s
        self._shown_at = now

    def _draw(self, image: RGBImage, classmap: ClassMap) -> RGBImage:
        picture = self._renderer.overlay(image, classmap, follow=not self._still)
        if self._legend:
            picture = inset(picture, self._renderer.small_legend(classmap, picture.shape[0]))
        if self.fps:
            _write_corner(picture, f"{self.fps:.1f} fps")
        self._gui.show(picture)
        return picture

    def _screenshot(self, picture: RGBImage) -> None:
        number = len(self.screenshots) + 1
        while (path := self._folder / f"screenshot_{number:04d}.png").exists():
            number += 1
        write_image(path, picture)
        self.screenshots.append(path)


class OpenCvGui:
    """OpenCV's own windows.

    Args:
        title: The window's title.

    Raises:
        OutputError: This OpenCV has no windows, or there is no display.
    """

    def __init__(self, title: str = "afformer") -> None:
        if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
            raise OutputError(
                "--show needs an OpenCV with windows, but opencv-python-headless has none; run "
                "`pip uninstall opencv-python-headless` and `pip install opencv-python`"
            )
        # Without a display OpenCV's toolkit does not fail, it ends the process.
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise OutputError("--show needs a display, but neither DISPLAY nor WAYLAND_DISPLAY is set; write a video")
        self._title = title
        self._bgr: RGBImage = np.empty((0, 0, 3), np.uint8)
        _use_system_fonts()
        # Of two looks, the one without a toolbar, which takes keys for itself.
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)

    def show(self, picture: RGBImage) -> None:  # noqa: D102 - see Gui
        if self._bgr.shape != picture.shape:
            self._bgr = np.empty_like(picture)
            cv2.resizeWindow(self._title, picture.shape[1], picture.shape[0])
        cv2.cvtColor(picture, cv2.COLOR_RGB2BGR, dst=self._bgr)
        cv2.imshow(self._title, self._bgr)

    def key(self, wait_ms: int) -> str:  # noqa: D102 - see Gui
        code = cv2.waitKey(wait_ms)
        return chr(code & 0xFF) if code >= 0 else ""

    def is_open(self) -> bool:  # noqa: D102 - see Gui
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # how Qt says that there is no window any more
            return False

    def close(self) -> None:  # noqa: D102 - see Gui
        if self.is_open():
            cv2.destroyWindow(self._title)


def _use_system_fonts() -> None:
    """OpenCV's wheel points Qt to a folder of fonts that it does not bring, which Qt laments at length."""
    folder = os.environ.get("QT_QPA_FONTDIR")
    if folder and not Path(folder).is_dir():
        os.environ["QT_QPA_FONTDIR"] = "/usr/share/fonts"


def _write_corner(picture: RGBImage, text: str) -> None:
    """White on black, at the bottom right."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(0.4, picture.shape[0] / 800)
    (width, height), below = cv2.getTextSize(text, font, scale, 1)
    at = (picture.shape[1] - width - height, picture.shape[0] - below - height // 2)
    cv2.putText(picture, text, at, font, scale, (0, 0, 0), 4, cv2.LINE_AA)
    cv2.putText(picture, text, at, font, scale, (255, 255, 255), 1, cv2.LINE_AA)

"""A window that shows results: overlay, frames per second, legend, and a few keys.

q or Esc  quit          space  pause and resume; the next picture
s         screenshot    l      legend on and off
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from afformer.errors import OutputError
from afformer.extras import opencv_command
from afformer.images import ClassMap, RGBImage, write_image
from afformer.runtime.render import Renderer
from afformer.streams.annotation import annotate
from afformer.streams.frames import Frame

_ESCAPE = 27
_PAUSE_MS = 50
_SMOOTHING = 0.9
"""Weight of the past in the moving average of the time between frames."""
_FONTS = "QT_QPA_FONTDIR"


class Gui(Protocol):
    """What a window needs of a toolkit."""

    def show(self, picture: RGBImage) -> None:
        """Shows `(H, W, 3)` uint8 RGB."""
        ...

    def key(self, wait_ms: int) -> str:
        """The key pressed within `wait_ms` milliseconds; empty if there was none."""
        ...

    def is_open(self) -> bool:
        """Whether the user has not closed the window."""
        ...

    def close(self) -> None:
        """Closes the window."""
        ...


class Window:
    """Shows results as they come. For the main thread only, where some systems require windows to be.

    Args:
        folder: Where screenshots go.
        legend: Whether the legend is shown at first.
        still: Whether each frame stays until the space bar is pressed, for pictures that are not frames of a video.
        clock: Returns seconds; for tests.
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
        """Frames per second, averaged over the last ones; 0 before the second frame."""
        self.screenshots: list[Path] = []
        """Pictures written so far."""
        self._renderer, self._gui, self._folder, self._legend, self._clock = renderer, gui, folder, legend, clock
        self._still, self._begun, self._pressed = still, False, ""
        self._shown_at: float | None = None
        self._interval_s = 0.0

    def show(self, frame: Frame, classmap: ClassMap, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Shows a frame and obeys the keys; returns only after the end of a pause.

        Args:
            frame: The frame.
            classmap: `(H, W)` class ids.
            stopped: Whether to leave a pause.

        Returns:
            Whether to go on; False once the user has quit or closed the window.

        Raises:
            OutputError: A screenshot cannot be written.
            ValueError: The frame holds an error and no picture.
        """
        image = frame.image
        self._begun = True
        self._measure()
        picture = self._draw(image, classmap)
        key, paused = self._gui.key(1) or self._pressed, self._still
        self._pressed = ""
        while self._goes_on(key):
            if key == "s":
                self._screenshot(picture)
            elif key == "l":
                self._legend = not self._legend
                picture = self._draw(image, classmap)
            elif key == " ":
                paused = not paused
                self._shown_at = None  # a pause does not count as a slow frame
            if not paused or stopped():
                return True
            key = self._gui.key(_PAUSE_MS)
        return False

    def idle(self) -> bool:
        """Keeps the window responsive while no frame comes. Other keys than those to quit wait for the next frame.

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
            past = self._interval_s or interval
            self._interval_s = past * _SMOOTHING + interval * (1 - _SMOOTHING)
            self.fps = 1 / self._interval_s
        self._shown_at = now

    def _draw(self, image: RGBImage, classmap: ClassMap) -> RGBImage:
        picture = annotate(self._renderer, image, classmap, legend=self._legend, follow=not self._still)
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
    """A window of OpenCV's, behind `Gui`.

    Raises:
        OutputError: This OpenCV has no windows, or there is no display.
    """

    def __init__(self, title: str = "afformer") -> None:
        if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
            raise OutputError(
                "a window needs an OpenCV with windows, but opencv-python-headless has none; run "
                f"`{opencv_command(windows=True)}`"
            )
        # Without a display OpenCV's toolkit ends the process instead of failing.
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise OutputError("a window needs a display, but neither DISPLAY nor WAYLAND_DISPLAY is set; write a video")
        self._title = title
        self._bgr: RGBImage = np.empty((0, 0, 3), np.uint8)
        with contextlib.ExitStack() as opened:
            opened.enter_context(_system_fonts())
            # Of OpenCV's two looks the one without a toolbar, which would take keys for itself.
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            self._opened = opened.pop_all()

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
        except cv2.error:  # Qt's way to say that the window is gone
            return False

    def close(self) -> None:  # noqa: D102 - see Gui
        with self._opened:
            if self.is_open():
                cv2.destroyWindow(self._title)


@contextlib.contextmanager
def _system_fonts() -> Iterator[None]:
    """Shows Qt the system's fonts: OpenCV's wheel names a folder that it does not bring, of which Qt complains."""
    before = os.environ.get(_FONTS)
    if before is None or Path(before).is_dir():
        yield
        return
    os.environ[_FONTS] = "/usr/share/fonts"
    try:
        yield
    finally:
        os.environ[_FONTS] = before


def _write_corner(picture: RGBImage, text: str) -> None:
    """White on black, at the bottom right."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(0.4, picture.shape[0] / 800)
    (width, height), below = cv2.getTextSize(text, font, scale, 1)
    at = (picture.shape[1] - width - height, picture.shape[0] - below - height // 2)
    cv2.putText(picture, text, at, font, scale, (0, 0, 0), 4, cv2.LINE_AA)
    cv2.putText(picture, text, at, font, scale, (255, 255, 255), 1, cv2.LINE_AA)

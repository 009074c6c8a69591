"""Temporal smoothing: pixels that flicker between classes from frame to frame, as at borders, keep their class.

The rule: a pixel keeps its class until it has had others for `frames` frames in a row; then it takes the newest. So

- a class that lasts for fewer than `frames` frames is never shown,
- a lasting change is shown `frames - 1` frames late, which for 3 frames at 30 frames a second is 67 ms,
- no class is shown for more than `frames - 1` frames after its last occurrence, whatever the others flicker between.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from afformer.images import ClassMap

LONGEST = 255
"""Streaks are counted in 8 bits."""


class Smoothing:
    """Smooths the class maps of successive frames. One instance serves one source.

    Args:
        frames: Frames in a row that it takes to change a pixel, from 1 (no smoothing) to `LONGEST`.

    Raises:
        ValueError: `frames` is out of range.
    """

    def __init__(self, frames: int = 3) -> None:
        if not 1 <= frames <= LONGEST:
            raise ValueError(f"smoothing must be over 1 to {LONGEST} frames, got {frames}")
        self.frames = frames
        self._shown: ClassMap = np.empty((0, 0), np.uint8)
        self._step: ClassMap = self._shown
        self._streak: npt.NDArray[np.uint8] = np.empty((0, 0), np.uint8)
        self._flag: npt.NDArray[np.bool_] = np.empty((0, 0), np.bool_)

    def __call__(self, classmap: ClassMap) -> ClassMap:
        """The class map to show for this frame.

        A frame of another size than the one before starts anew.

        Args:
            classmap: `(H, W)` class ids of the frame.

        Returns:
            `(H, W)` class ids, valid until the next call.
        """
        if self._shown.shape != classmap.shape or self._shown.dtype != classmap.dtype:
            self.reset()
            self._shown = classmap.copy()
            self._step = np.empty_like(classmap)
            self._streak = np.zeros(classmap.shape, np.uint8)
            self._flag = np.empty(classmap.shape, np.bool_)
            return self._shown
        differs = np.not_equal(classmap, self._shown, out=self._flag)
        np.add(self._streak, 1, out=self._streak)
        np.multiply(self._streak, differs, out=self._streak)
        changes = np.greater_equal(self._streak, self.frames, out=self._flag)
        # Arithmetic, exact modulo 256, instead of masked copies, which take many times as long.
        np.subtract(classmap, self._shown, out=self._step)
        np.multiply(self._step, changes, out=self._step)
        np.add(self._shown, self._step, out=self._shown)
        np.logical_not(changes, out=self._flag)
        np.multiply(self._streak, self._flag, out=self._streak)
        return self._shown

    def reset(self) -> None:
        """Forgets what was shown: the next frame is shown as it is."""
        self._shown = np.empty((0, 0), np.uint8)

"""Pixel buffers that are used again, so that a long video does not fill and empty the memory."""

from __future__ import annotations

import collections

import cv2
import numpy as np
import numpy.typing as npt

from afformer.errors import ImageError
from afformer.images import RGBImage
from afformer.streams.frames import Frame

BGRImage = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8, BGR: what OpenCV reads."""


class FrameBuffers:
    """RGB buffers that are reused once their frames are returned. For one reader; `give_back` from any thread."""

    def __init__(self) -> None:
        self._free: collections.deque[RGBImage] = collections.deque(maxlen=64)

    def take(self) -> RGBImage | None:
        """A buffer of some size that nobody else uses, if there is one."""
        return self._free.pop() if self._free else None

    def rgb(self, picture: BGRImage) -> RGBImage:
        """The picture in RGB, in a buffer that nobody else uses."""
        buffer = self.take()
        if buffer is None or buffer.shape != picture.shape:
            buffer = np.empty_like(picture)
        cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=buffer)
        return buffer

    def give_back(self, frame: Frame) -> None:
        """Takes back the buffer of a frame that is no longer used."""
        if not isinstance(frame.content, ImageError):
            self._free.append(frame.content)

"""The range of each channel of a tensor: all but the outermost `TAIL` of its values at either end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from afformer.quantize.activations import ActivationsRunner
from afformer.quantize.lowering import ChannelRanges
from afformer.quantize.observers import TAIL

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[np.generic]

KEPT = 64
"""Outermost values that are kept of each channel, at either end. With more than `KEPT / TAIL` values, 1.3 million, the
range is that of the outermost but `KEPT`, a little wider."""


class _Tails:
    """The outermost values of each channel.

    Attributes:
        count: Values of a channel that were seen.
    """

    def __init__(self, channels: int) -> None:
        self.count = 0
        self._lowest: Floats = np.empty((channels, 0), np.float32)
        self._highest: Floats = np.empty((channels, 0), np.float32)

    def add(self, values: Floats) -> None:
        """Takes values of `(C, n)`."""
        self.count += values.shape[1]
        self._lowest = _first(np.concatenate([self._lowest, values], axis=1))
        self._highest = -_first(np.concatenate([-self._highest, -values], axis=1))

    def ranges(self) -> ChannelRanges:
        """The range of each channel."""
        index = min(int(TAIL * self.count), KEPT - 1)
        lowest, highest = np.sort(self._lowest, axis=1), np.sort(self._highest, axis=1)
        return ChannelRanges(lowest[:, index].astype(np.float64), highest[:, -1 - index].astype(np.float64))


def channel_ranges(model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Array]) -> dict[str, ChannelRanges]:
    """The range of every channel of every tensor over all feeds; a dozen pictures are plenty.

    Args:
        model: A canonical float model.
        tensors: Names of its `(n, C, H, W)` tensors.
        feeds: Input tensors; taken one by one, none is kept.

    Raises:
        ValueError: There are no feeds.
    """
    runner = ActivationsRunner(model, tensors)
    tails: dict[str, _Tails] = {}
    for feed in feeds:
        for name, values in zip(tensors, runner.run(feed), strict=True):
            channels = np.moveaxis(np.asarray(values, np.float32), 1, 0).reshape(values.shape[1], -1)
            tails.setdefault(name, _Tails(len(channels))).add(channels)
    if tensors and not tails:
        raise ValueError("channel ranges need at least one feed")
    return {name: found.ranges() for name, found in tails.items()}


def _first(values: Floats) -> Floats:
    """The `KEPT` smallest of each row, in no order."""
    return values if values.shape[1] <= KEPT else np.partition(values, KEPT, axis=1)[:, :KEPT]

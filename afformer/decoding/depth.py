"""Pictures of more than 8 bits -> 8 bits, by one stated rule.

Samples of 16 bits often hold fewer: a camera's 12 bits would come out almost black. A file can say how many there are
(TIFF MaxSampleValue, PNG sBIT). Otherwise a picture whose values all fit into 8, 10, 12 or 14 bits is taken as having
that many, and any other as having all that its type can hold.

Floats are shares of white if none is above 1, and 8-bit values if none is above 255.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from afformer.decoding.unreadable import UnreadableError

_GUESSED_BITS = (8, 10, 12, 14)
Samples = npt.NDArray[np.integer] | npt.NDArray[np.floating]


def eight_bits(samples: npt.NDArray[np.generic], declared_max: int | None = None) -> npt.NDArray[np.uint8]:
    """Scales samples so that white becomes 255.

    Args:
        samples: Any shape; unsigned or signed integers, or floats.
        declared_max: The value of white, if the file says it.

    Raises:
        UnreadableError: Values are negative, not finite, or floats above 255.
    """
    if samples.dtype == np.uint8:
        return np.asarray(samples, np.uint8)
    lowest, highest = float(samples.min(initial=0)), float(samples.max(initial=0))
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise UnreadableError("stores values that are not numbers (NaN or infinity); expected colours")
    if lowest < 0:
        raise UnreadableError(f"stores negative values (down to {lowest:g}); expected colours, from 0 up")
    white = _white(samples.dtype, highest, declared_max)
    if np.issubdtype(samples.dtype, np.integer) and white < 2**16:
        table = np.minimum(np.arange(int(highest) + 1) * 255.0 / white + 0.5, 255).astype(np.uint8)
        return np.asarray(table[samples.astype(np.uint16, copy=False)], np.uint8)
    return np.clip(samples.astype(np.float64) * (255 / white) + 0.5, 0, 255).astype(np.uint8)


def _white(dtype: np.dtype[np.generic], highest: float, declared_max: int | None) -> float:
    if declared_max and highest <= declared_max:
        return declared_max
    if np.issubdtype(dtype, np.floating):
        if highest > 255:
            raise UnreadableError(f"stores floats up to {highest:g}; expected 0 to 1, or 0 to 255")
        return 1 if highest <= 1 else 255
    most = int(np.iinfo(dtype).max)  # type: ignore[type-var]
    return min(most, next((2**bits - 1 for bits in _GUESSED_BITS if highest < 2**bits), most))


def rgb_of_bgr(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """OpenCV's `(H, W)` or `(H, W, 1..4)`, grey or BGR with or without alpha -> `(H, W, 3)` RGB, a view."""
    samples = np.atleast_3d(pixels)
    colours = samples[:, :, : 3 if samples.shape[2] >= 3 else 1]
    return np.broadcast_to(colours[:, :, ::-1], (*colours.shape[:2], 3))

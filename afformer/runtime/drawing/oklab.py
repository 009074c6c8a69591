"""Colours as people see them: OKLab, in which equal distances look equally different, and colour blindness.

OKLab: Ottosson, "A perceptual color space for image processing" (2020). Colour blindness: Machado, Oliveira and
Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), severity 1, linear RGB.
"""

from __future__ import annotations

import enum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


class Vision(enum.Enum):
    """How somebody sees colours; the value is what linear RGB becomes."""

    FULL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
    DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))


def from_rgb(rgb: npt.ArrayLike, vision: Vision = Vision.FULL) -> Floats:
    """`(..., 3)` sRGB, 0..255 -> `(..., 3)` OKLab: lightness 0..1, green to red, blue to yellow."""
    encoded = np.asarray(rgb, np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(vision.value).T, 0.0, 1.0)
    return np.asarray(np.cbrt(seen @ _CONES.T) @ _LAB.T, np.float64)


def to_rgb(lab: npt.ArrayLike) -> Floats:
    """`(..., 3)` OKLab -> `(..., 3)` sRGB, 0..255; below or above that where a screen cannot show the colour."""
    cones = (np.asarray(lab, np.float64) @ np.linalg.inv(_LAB).T) ** 3
    linear = cones @ np.linalg.inv(_CONES).T
    curve = 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055
    encoded = np.where(np.abs(linear) <= 0.0031308, 12.92 * linear, np.copysign(curve, linear))
    return np.asarray(255 * encoded, np.float64)


def distances(one: Floats, other: Floats) -> Floats:
    """Euclidean distances between colours, `(n, 3)`, `(m, 3)` -> `(n, m)`, rounded to be the same on all machines."""
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)).round(6), np.float64)

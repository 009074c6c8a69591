"""From a picture to the model's input tensor, as in training: resized bilinearly as bytes, then normalised."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import numpy.typing as npt

from afformer.errors import ImageError
from afformer.runtime.backends.base import Array, input_tensor
from afformer.runtime.choices import Fit
from afformer.runtime.workspace import Workspace
from afformer.spec import ColorOrder, InputKind, ModelSpec

Image = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8."""


@dataclasses.dataclass(frozen=True)
class FittedPicture:
    """A picture as the model's input, and the part of the model's output that belongs to it.

    Attributes:
        tensor: `(3, H, W)` float32, normalised, or `(H, W, 3)` uint8, in the spec's channel order; no batch axis.
        image_hw: Height and width of the original picture, in pixels.
        covered_hw: Part of the input that the picture covers, from the top left corner, in input pixels.
        span_y: Rows of the logits that the picture covers, in (fractional) cells.
        span_x: Columns of the logits that the picture covers, in (fractional) cells.
    """

    tensor: Array
    image_hw: tuple[int, int]
    covered_hw: tuple[int, int]
    span_y: float
    span_x: float


def fit_picture(
    image: Image,
    spec: ModelSpec,
    fit: Fit = Fit.STRETCH,
    color_order: ColorOrder = ColorOrder.RGB,
    out: Array | None = None,
    *,
    work: Workspace | None = None,
) -> FittedPicture:
    """Brings a whole picture to the model's input size and normalises it.

    Args:
        image: `(H, W, 3)` uint8 in `color_order`.
        spec: The model's spec.
        fit: `STRETCH` or `PAD`. The tiles of `SLIDE` are cut by the caller and written with `write_input`.
        color_order: Order of the picture's channels.
        out: Where to write the tensor, for instance a row of a batch; a new array if left out.
        work: Scratch memory to reuse from call to call.

    Raises:
        ImageError: Not an `(H, W, 3)` uint8 array.
    """
    check_image(image)
    assert fit is not Fit.SLIDE, "tiles are written with write_input()"
    (height, width), (grid_h, grid_w) = spec.input_hw, spec.logits_hw
    covered_h, covered_w = spec.input_hw if fit is Fit.STRETCH else _inside(image.shape, spec.input_hw)
    work = work or Workspace()
    resized = image
    if image.shape[:2] != (covered_h, covered_w):
        resized = work.array("resized", (covered_h, covered_w, 3), np.uint8)
        cv2.resize(image, (covered_w, covered_h), dst=resized, interpolation=cv2.INTER_LINEAR)
    return FittedPicture(
        tensor=write_input(resized, spec, color_order, out, work),
        image_hw=(image.shape[0], image.shape[1]),
        covered_hw=(covered_h, covered_w),
        span_y=covered_h / height * grid_h,
        span_x=covered_w / width * grid_w,
    )


def write_input(
    pixels: Image,
    spec: ModelSpec,
    color_order: ColorOrder,
    out: Array | None = None,
    work: Workspace | None = None,
) -> Array:
    """Writes pixels into the top left corner of the model's input, normalised but not resized, and the mean elsewhere.

    Args:
        pixels: `(h, w, 3)` uint8 in `color_order`, at most of the input's size.
        spec: The model's spec.
        color_order: Order of the channels of `pixels`.
        out: Where to write; a new array if left out.
        work: Scratch memory to reuse from call to call.

    Returns:
        `out`: `(3, H, W)` float32, normalised, or `(H, W, 3)` uint8, in the spec's channel order.
    """
    tensor = input_tensor(spec)
    if out is None:
        out = np.empty(tensor.shape[1:], tensor.dtype)
    height, width, _ = pixels.shape
    turned = color_order is not spec.color_order
    if spec.input is InputKind.UINT8:
        out[height:], out[:, width:] = np.rint(spec.mean), np.rint(spec.mean)
        if turned:
            cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=out[:height, :width])
        else:
            out[:height, :width] = pixels
        return out
    out[:, height:], out[:, :, width:] = 0, 0
    plane = (work or Workspace()).array("plane", (height, width), np.uint8)
    for channel, (mean, std) in enumerate(zip(spec.mean, spec.std, strict=True)):
        cv2.extractChannel(pixels, 2 - channel if turned else channel, dst=plane)
        target = out[channel, :height, :width]
        np.multiply(plane, np.float32(1 / std), out=target, dtype=np.float32)
        np.subtract(target, np.float32(mean / std), out=target)
    return out


def check_image(image: Array) -> None:
    """Refuses anything but a picture.

    Raises:
        ImageError: Not an `(H, W, 3)` uint8 array with at least one pixel.
    """
    if not isinstance(image, np.ndarray):
        raise ImageError(f"a picture must be a path or an (H, W, 3) uint8 array, but got {type(image).__name__}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ImageError(
            f"a picture must be an (H, W, 3) uint8 array, but got {image.dtype} of shape {image.shape}; "
            "convert it to three channels of 8 bits, or pass its path"
        )


def _inside(shape: tuple[int, ...], input_hw: tuple[int, int]) -> tuple[int, int]:
    scale = min(input_hw[0] / shape[0], input_hw[1] / shape[1])
    height, width = (max(1, round(length * scale)) for length in shape[:2])
    return min(height, input_hw[0]), min(width, input_hw[1])

"""Everything that stands for a picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from afformer.errors import ImageError
from afformer.runtime import ColorOrder, Segmenter
from afformer.runtime.pictures import load_picture
from tests.builders.fake_backend import FakeBackend
from tests.builders.tiny_onnx import SPEC

Pixels = npt.NDArray[np.uint8]
COLOURS: Pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
ALPHA: Pixels = np.random.default_rng(1).integers(0, 256, (9, 7), np.uint8)
GREY = COLOURS[:, :, 0]
ROTATED_LEFT = 6
"""EXIF's orientation of a picture that must be turned to the right."""


def _png(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def _rgb(picture: object) -> Pixels:
    pixels, order = load_picture(picture, ColorOrder.RGB)  # type: ignore[arg-type]
    assert order is ColorOrder.RGB
    assert pixels.dtype == np.uint8
    return pixels


def _turned() -> Image.Image:
    picture = Image.fromarray(COLOURS)
    picture.getexif()[0x0112] = ROTATED_LEFT
    return picture


MODES: dict[str, Callable[[], Image.Image]] = {
    "RGB": lambda: Image.fromarray(COLOURS),
    "RGBA": lambda: Image.fromarray(np.dstack([COLOURS, ALPHA])),
    "L": lambda: Image.fromarray(GREY),
    "LA": lambda: Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]),
    "1": lambda: Image.fromarray(GREY).convert("1"),
    "P": lambda: Image.fromarray(COLOURS).quantize(16),
    "I;16": lambda: Image.fromarray(GREY.astype(np.uint16) * 257),
}
DEEP = {"I;16": np.uint16, "I": np.int32, "F": np.float32}


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_of_pillow_its_bytes_and_its_file_are_one_picture(mode: str, tmp_path: Path) -> None:
    picture = MODES[mode]()
    assert picture.mode == mode
    data = _png(picture)
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    expected = _rgb(path)
    for form in (picture, data, bytearray(data), memoryview(data), str(path)):
        np.testing.assert_array_equal(_rgb(form), expected)


@pytest.mark.parametrize("mode", DEEP)
@pytest.mark.parametrize("white", [255, 4095])
def test_a_deep_picture_of_pillow_goes_from_black_to_white(mode: str, white: int) -> None:
    values = np.linspace(0, 1, 32)[None] * (1 if mode == "F" else white)
    picture = Image.fromarray(values.astype(DEEP[mode]))
    assert picture.mode == mode
    assert np.abs(_rgb(picture)[0, :, 0] - np.linspace(0, 255, 32)).max() <= 1


def test_a_picture_of_pillow_is_turned_as_its_file_is(tmp_path: Path) -> None:
    path = tmp_path / "turned.png"
    path.write_bytes(_png(_turned(), exif=_turned().getexif()))
    np.testing.assert_array_equal(_rgb(_turned()), np.rot90(COLOURS, -1))
    np.testing.assert_array_equal(_rgb(Image.open(path)), _rgb(path))


def test_grey_and_alpha_arrays_are_converted_as_files_are() -> None:
    np.testing.assert_array_equal(_rgb(GREY), np.dstack([GREY] * 3))
    np.testing.assert_array_equal(_rgb(GREY[:, :, None]), np.dstack([GREY] * 3))
    np.testing.assert_array_equal(_rgb(np.dstack([COLOURS, ALPHA])), COLOURS)


def test_the_colour_order_is_that_of_arrays_with_alpha_too() -> None:
    pixels, order = load_picture(np.dstack([COLOURS[:, :, ::-1], ALPHA]), ColorOrder.BGR)
    assert order is ColorOrder.BGR
    np.testing.assert_array_equal(pixels[:, :, ::-1], COLOURS)


def test_an_array_of_three_channels_is_not_copied() -> None:
    assert _rgb(COLOURS) is COLOURS


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (COLOURS.astype(np.float32), "float32 of shape .*convert it"),
        (COLOURS > 5, "bool of shape"),
        (COLOURS.transpose(2, 0, 1), r"array\.transpose\(1, 2, 0\)"),
        (COLOURS[None], "segment_batch"),
        (None, "NoneType"),
        ([1, 2, 3], "list"),
        (b"", "0 bytes"),
        (b"no picture", "a picture of 10 bytes"),
        (Image.fromarray(COLOURS[:, :, 0].astype(np.float32) * 99), "a picture of Pillow stores floats up to"),
        (Image.new("RGB", (0, 4)), "0x4"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(wrong: object, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        _rgb(wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("one", ["street.jpg", Path("street.jpg"), b"data", COLOURS, GREY, MODES["RGB"]()])
def test_one_picture_is_not_taken_for_a_list_of_pictures(one: object) -> None:
    with pytest.raises(ImageError, match="put it into a list"):
        Segmenter(FakeBackend(SPEC)).segment_batch(one)  # type: ignore[arg-type]

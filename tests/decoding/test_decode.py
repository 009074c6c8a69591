"""Formats, depths, transparency and damage, as they are seen through `read_image`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from afformer.errors import ImageError
from afformer.images import read_image
from tests.builders.tiff import ramp, write_tiff
from tests.builders.videos import street

SHOWN = ramp(np.uint8, 255)


def photo() -> Image.Image:
    return Image.fromarray(street(1, (48, 64))[0])


@pytest.mark.parametrize(
    ("dtype", "white", "declared"),
    [
        (np.uint16, 65535, None),
        (np.uint16, 4095, None),
        (np.uint16, 1023, None),
        (np.uint16, 255, None),
        (np.uint16, 16383, None),
        (np.uint16, 12000, 12000),
        (np.int16, 255, None),
        (np.int16, 32767, None),
        (np.float32, 1.0, None),
        (np.float32, 255.0, None),
        (np.float64, 1.0, None),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiff_of_any_depth_goes_from_black_to_white(
    tmp_path: Path, dtype: Any, white: float, declared: int | None, channels: int
) -> None:
    tags = {} if declared is None else {"max_sample": declared}
    path = write_tiff(tmp_path / "a.tif", ramp(dtype, white, channels), **tags)
    expected = SHOWN if channels == 3 else np.repeat(ramp(np.uint8, 255, 1), 3, axis=2)
    assert np.abs(read_image(path).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([[-5, 9]], np.int16), "stores negative values"),
        (np.array([[-0.5, 1]], np.float32), "stores negative values"),
        (np.array([[np.nan, 1]], np.float32), "are not numbers"),
        (np.array([[0, 4000]], np.float32), "stores floats up to 4000; expected 0 to 1, or 0 to 255"),
    ],
)
def test_values_that_are_no_colours_are_refused_with_the_reason(tmp_path: Path, samples: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read_image(write_tiff(tmp_path / "a.tif", samples))


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_alpha_is_dropped_and_colours_are_what_they_were_before_it(tmp_path: Path, dtype: Any, white: int) -> None:
    colours = ramp(np.float64, white)
    alpha = np.full((20, 32, 1), white // 2)
    beside = write_tiff(tmp_path / "a.tif", np.concatenate([colours, alpha], 2).astype(dtype), extra=2)
    multiplied = np.concatenate([colours / 2, alpha], 2).astype(dtype)
    associated = write_tiff(tmp_path / "b.tif", multiplied, extra=1)
    assert np.abs(read_image(beside).astype(int) - SHOWN).max() <= 1
    assert np.abs(read_image(associated).astype(int) - SHOWN).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_rotated_tiff_stands_upright(tmp_path: Path, orientation: int, dtype: Any) -> None:
    stored = np.arange(20 * 32, dtype=dtype).reshape(20, 32) % 250
    plain = read_image(write_tiff(tmp_path / "p.tif", stored))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = Image.fromarray(plain)
    turned.info["exif"] = exif.tobytes()
    turned.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(turned))
    path = write_tiff(tmp_path / "a.tif", stored, orientation=orientation)
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".avif", ".webp"])
def test_a_rotated_avif_or_webp_stands_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    photo().save(path, exif=exif, quality=95)
    turned = photo()
    turned.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(turned), int)
    image = read_image(path)
    assert image.shape == upright.shape
    assert np.abs(image - upright).mean() < 6


def test_a_rotated_heic_stands_upright(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    heif.from_pillow(photo()).save(tmp_path / "a.heic", exif=exif.tobytes(), quality=95)
    image = read_image(tmp_path / "a.heic")
    assert image.shape == (64, 48, 3)
    assert np.abs(image - np.asarray(photo().transpose(Image.Transpose.ROTATE_270), int)).mean() < 6


def test_a_png_that_declares_twelve_bits_is_read_with_them(tmp_path: Path) -> None:
    Image.fromarray(ramp(np.uint16, 4095, 1)[..., 0]).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").max() == 255


def test_a_jpeg_that_only_lacks_its_end_marker_is_read_with_a_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jpg"
    for options in ({}, {"progressive": True}, {"restart_marker_blocks": 3}, {"quality": 30, "subsampling": 0}):
        photo().save(path, **options)
        whole = read_image(path)
        path.write_bytes(path.read_bytes().removesuffix(b"\xff\xd9"))
        np.testing.assert_array_equal(read_image(path), whole)
        assert "lacks the marker that ends a JPEG" in capfd.readouterr().err


@pytest.mark.parametrize("missing", [3, 10, 100, 900])
def test_a_jpeg_that_lacks_more_than_its_end_marker_is_truncated(tmp_path: Path, missing: int) -> None:
    photo().save(tmp_path / "a.jpg", quality=90)
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-missing])
    with pytest.raises(ImageError, match="is truncated"):
        read_image(tmp_path / "a.jpg")


def test_of_several_pages_the_first_is_read_and_it_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_tiff(tmp_path / "a.tif", SHOWN, 255 - SHOWN, SHOWN)
    np.testing.assert_array_equal(read_image(path), SHOWN)
    assert "a.tif: holds 3 pictures; the first is used" in capfd.readouterr().err


def test_a_picture_above_the_limit_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"20000x20000 pixels, more than the limit .* AFFORMER_MAX_PIXELS=400000000"):
        read_image(tmp_path / "a.png")
    Image.new("RGB", (200, 100)).save(tmp_path / "b.tif")
    monkeypatch.setenv("AFFORMER_MAX_PIXELS", "19999")
    with pytest.raises(ImageError, match="more than the limit of 19999"):
        read_image(tmp_path / "b.tif")
    monkeypatch.setenv("AFFORMER_MAX_PIXELS", "20000")
    assert read_image(tmp_path / "b.tif").shape == (100, 200, 3)
    monkeypatch.setenv("AFFORMER_MAX_PIXELS", "many")
    with pytest.raises(ImageError, match="AFFORMER_MAX_PIXELS is 'many'"):
        read_image(tmp_path / "b.tif")


def test_the_pictures_that_once_failed_are_right(shared: Path) -> None:
    cases = shared / "cases" / "pictures"
    if not cases.is_dir():
        pytest.skip("the cases are not here")
    np.testing.assert_array_equal(read_image(cases / "rgba.tif"), read_image(cases / "rgba.png"))
    assert read_image(cases / "int16.tif").mean() > 100
    assert read_image(cases / "orient_6.avif").shape == (640, 360, 3)

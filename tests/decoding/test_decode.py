"""Formats, depths, transparency and damage, as they are seen through `read_image`."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from afformer.errors import ImageError
from afformer.images import read_image, read_label
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


def test_white_is_at_most_what_a_type_can_hold(tmp_path: Path) -> None:
    assert read_image(write_tiff(tmp_path / "a.tif", ramp(np.int8, 127))).max() == 255


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


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.uint16, 4095), (np.float32, 1)])
def test_channels_that_are_kept_apart_are_joined(tmp_path: Path, dtype: Any, white: float) -> None:
    path = write_tiff(tmp_path / "a.tif", ramp(dtype, white), planar=2)
    assert np.abs(read_image(path).astype(int) - SHOWN).max() <= 1
    alpha = np.full((20, 32, 1), white / 2).astype(dtype)
    path = write_tiff(tmp_path / "b.tif", np.concatenate([ramp(dtype, white), alpha], 2), extra=2, planar=2)
    assert np.abs(read_image(path).astype(int) - SHOWN).max() <= 1


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_zero_may_be_white(tmp_path: Path, dtype: Any, white: float) -> None:
    path = write_tiff(tmp_path / "a.tif", (white - ramp(np.float64, white, 1)).astype(dtype), photometric=0)
    assert np.abs(read_image(path).astype(int) - ramp(np.uint8, 255, 1)).max() <= 1


@pytest.mark.parametrize(
    ("samples", "tags", "message"),
    [
        (SHOWN, {"compression": 34712}, "is a TIFF compressed with JPEG 2000, which cannot be read"),
        (SHOWN, {"compression": 50001}, "is a TIFF compressed with WebP, which cannot be read"),
        (SHOWN, {"compression": 12345}, "is a TIFF compressed with method 12345, which cannot be read"),
        (ramp(np.uint16, 99), {"compression": 50000}, "is a TIFF compressed with Zstandard, which cannot be read"),
        (ramp(np.float16, 1), {}, "stores 16-bit floats, which cannot be read"),
        (ramp(np.uint16, 99, 4), {"photometric": 5}, "stores 16-bit CMYK values, which cannot be read"),
        (SHOWN, {"subfile": 1, "sub_directories": 8}, "is a camera's raw file, which cannot be read"),
    ],
)
def test_a_tiff_that_would_be_read_wrongly_is_refused_with_the_reason(
    tmp_path: Path, samples: Any, tags: dict[str, int], message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        read_image(write_tiff(tmp_path / "a.tif", samples, **tags))


def test_a_label_that_would_be_read_as_zeros_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="compressed with JPEG 2000"):
        read_label(write_tiff(tmp_path / "a.tif", ramp(np.uint8, 9, 1), compression=34712))


def test_a_large_tiff_of_the_other_byte_order_is_read(tmp_path: Path) -> None:
    pixels = ramp(np.dtype(">u2"), 65535, 1)
    tags = {256: 32, 257: 20, 258: 16, 259: 1, 262: 1, 273: 16, 277: 1, 278: 20, 279: pixels.nbytes}
    entries = b"".join(struct.pack(">HHQQ", tag, 16, 1, value) for tag, value in tags.items())
    head = struct.pack(">2sHHHQ", b"MM", 43, 8, 0, 16 + pixels.nbytes)
    (tmp_path / "a.tif").write_bytes(head + pixels.tobytes() + struct.pack(">Q", len(tags)) + entries + bytes(8))
    assert np.abs(read_image(tmp_path / "a.tif").astype(int) - ramp(np.uint8, 255, 1)).max() <= 1


@pytest.mark.parametrize(("suffix", "kind"), [(".pgm", b"P5\n32 20\n%d\n"), (".pfm", b"Pf\n32 20\n-1\n")])
def test_deep_greys_of_other_formats_go_from_black_to_white(tmp_path: Path, suffix: str, kind: bytes) -> None:
    path, expected = tmp_path / f"a{suffix}", ramp(np.uint8, 255, 1)
    whites = (65535, 4095) if suffix == ".pgm" else (1, 255)
    for white in whites:
        samples = ramp(np.dtype(">u2"), white, 1) if suffix == ".pgm" else ramp(np.dtype("<f4"), white, 1)[::-1]
        path.write_bytes((kind % white if b"%" in kind else kind) + samples.tobytes())
        assert np.abs(read_image(path).astype(int) - expected).max() <= 1


def test_alpha_is_dropped_where_only_opencv_knows_the_format(tmp_path: Path) -> None:
    head = b"P7\nWIDTH 32\nHEIGHT 20\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    (tmp_path / "a.pam").write_bytes(head + np.dstack([SHOWN, np.full((20, 32), 40, np.uint8)]).tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.pam"), SHOWN)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\x0a\xfa\x7f", "is a JPEG XL picture, which cannot be read; convert it"),
        (b"\xff\xd8\xff\xf7\0\x0b\x08\0\x02\0\x02\x01\x01\x11\0\xff\xda\0\x08", "is a JPEG-LS picture"),
        (b"\xff\xd8\xff\xc1\0\x0b\x0c\0\x02\0\x02\x01\x01\x11\0\xff\xda\0\x08", "is a JPEG of 12 bits"),
        (b"<?xml version='1.0'?><svg/>", "is an SVG drawing, which cannot be read"),
        (b"<!DOCTYPE html><title>Not found</title>", "is a web page, not a picture"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "is a camera's raw file, which cannot be read"),
        (b"nothing at all", "is not a picture that can be read"),
    ],
)
def test_a_format_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_image(tmp_path / "a.jpg")


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


def test_a_progressive_jpeg_that_ends_before_its_last_scan_is_truncated(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.jpg", quality=90, progressive=True)
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: whole.rindex(b"\xff\xda")])
    with pytest.raises(ImageError, match="is truncated"):
        read_image(tmp_path / "a.jpg")


def test_of_several_pages_the_first_is_read_and_it_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_tiff(tmp_path / "a.tif", SHOWN, 255 - SHOWN, SHOWN)
    np.testing.assert_array_equal(read_image(path), SHOWN)
    assert "a.tif: holds 3 pictures; the first is used" in capfd.readouterr().err


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif"])
def test_of_an_animation_the_first_picture_is_read_and_it_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    photo().save(path, save_all=True, append_images=[photo().rotate(180)])
    assert np.abs(read_image(path) - np.asarray(photo(), float)).mean() < 8
    assert f"a{suffix}: holds 2 pictures; the first is used" in capfd.readouterr().err


def test_wrong_bytes_in_a_jpeg_put_nothing_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    photo().save(tmp_path / "a.jpg", quality=90)
    whole = (tmp_path / "a.jpg").read_bytes()
    for at in range(len(whole) // 2, len(whole) - 2, 40):
        (tmp_path / "a.jpg").write_bytes(whole[:at] + b"\x55\xff\0\xaa" + whole[at + 4 :])
        assert read_image(tmp_path / "a.jpg").shape == (48, 64, 3)
    assert capfd.readouterr().err == ""


def test_a_huge_jpeg_is_upright_and_in_rgb_as_well(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8193, 8192), (200, 30, 10)).save(tmp_path / "a.jpg", exif=exif)
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == (8193, 8192, 3)
    assert np.abs(image[0, 0].astype(int) - (200, 30, 10)).max() < 4


def test_a_damaged_avif_is_one_clear_line(tmp_path: Path) -> None:
    path, seen = tmp_path / "a.avif", 0
    photo().save(path)
    whole = path.read_bytes()
    for at in range(len(whole) // 2, len(whole), 20):
        path.write_bytes(whole[:at] + b"\xff\0\xff" + whole[at + 3 :])
        try:
            read_image(path)
        except ImageError as error:
            seen += "is damaged" in str(error) or "or is damaged" in str(error)
    assert seen


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_photo_with_damaged_exif_data_is_read_as_it_is_stored(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.png")
    photo().save(tmp_path / "a.jpg", quality=95, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
    assert np.abs(read_image(tmp_path / "a.jpg") - read_image(tmp_path / "a.png").astype(float)).mean() < 6


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

"""Picture files as they come from cameras, editors and annotators."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps

from afformer.errors import ImageError, OutputError
from afformer.images import exif_orientation, read_image, read_label, write_image, write_mask

PALETTE = ((128, 64, 128), (244, 35, 232), (70, 70, 70), (0, 0, 142))


@pytest.fixture
def photo() -> Image.Image:
    """A smooth colourful picture of 48x32, which JPEG keeps well."""
    small = np.random.default_rng(7).integers(0, 256, (4, 6, 3), np.uint8)
    return Image.fromarray(cv2.resize(small, (48, 32), interpolation=cv2.INTER_CUBIC))


def pixels(image: Image.Image) -> npt.NDArray[np.int64]:
    return np.asarray(image.convert("RGB"), np.int64)


def test_a_picture_is_rgb_bytes_in_contiguous_memory(tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert (image == pixels(photo)).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_every_kind_of_png_looks_as_it_does_elsewhere(tmp_path: Path, photo: Image.Image, mode: str) -> None:
    photo.convert(mode).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == pixels(Image.open(tmp_path / "a.png"))).all()


def test_alpha_is_dropped_and_not_composited(tmp_path: Path, photo: Image.Image) -> None:
    transparent = photo.convert("RGBA")
    transparent.putalpha(0)
    transparent.save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == pixels(photo)).all()


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_eight(tmp_path: Path, suffix: str, channels: int) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (20, 30, channels)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), deep)
    expected = np.broadcast_to(deep[:, :, ::-1] / 257, (20, 30, 3))
    assert np.abs(read_image(tmp_path / f"a{suffix}") - expected).max() <= 1.0


def test_a_cmyk_jpeg_has_the_right_colours(tmp_path: Path) -> None:
    inks = np.random.default_rng(3).integers(0, 256, (4, 6, 4), np.uint8)
    Image.fromarray(cv2.resize(inks, (48, 32)), "CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg") - pixels(Image.open(tmp_path / "a.jpg"))).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_rotated_photo_stands_upright(tmp_path: Path, photo: Image.Image, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo.save(tmp_path / f"a{suffix}", exif=exif)
    upright = pixels(ImageOps.exif_transpose(Image.open(tmp_path / f"a{suffix}")))
    image = read_image(tmp_path / f"a{suffix}")
    assert image.shape == upright.shape
    assert np.abs(image - upright).max() <= 1


def test_a_name_outside_ascii_is_read_and_written(tmp_path: Path, photo: Image.Image) -> None:
    folder = tmp_path / "Straße 東京 фото"
    folder.mkdir()
    write_image(folder / "größe.png", np.asarray(photo))
    assert (read_image(folder / "größe.png") == pixels(photo)).all()


def test_a_picture_is_named_by_any_path_or_given_as_bytes(tmp_path: Path, photo: Image.Image) -> None:
    write_image(str(tmp_path / "a.png"), np.asarray(photo.convert("RGB")))
    expected = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png")), expected)
    np.testing.assert_array_equal(read_image((tmp_path / "a.png").read_bytes()), expected)


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[1, 2, 3]]]


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("kept", [0.03, 0.5, 0.95])
def test_a_truncated_file_is_one_clear_line_and_nothing_on_stderr(
    tmp_path: Path, photo: Image.Image, fmt: str, kept: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.img"
    photo.save(path, fmt)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ImageError, match=r"a\.img: is ") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_progressive_jpeg_with_restart_markers_is_whole_and_its_halves_are_not(
    tmp_path: Path, photo: Image.Image
) -> None:
    path = tmp_path / "a.jpg"
    photo.resize((200, 160)).save(
        path, progressive=True, restart_marker_blocks=2, quality=90, exif=b"Exif\0\0\xff\xd9\xff"
    )
    assert read_image(path).shape == (160, 200, 3)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ImageError, match="truncated"):
        read_image(path)


def test_a_png_with_a_flipped_bit_is_damaged(tmp_path: Path, photo: Image.Image) -> None:
    path = tmp_path / "a.png"
    photo.save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ImageError, match="damaged"):
        read_image(path)


def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("no picture " * 50)


def header_only(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n")


def png_without_header(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82")


def missing(path: Path) -> None:
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("read", [read_image, read_label])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (empty, "is empty"),
        (text, "is not a picture"),
        (header_only, "truncated"),
        (png_without_header, "damaged"),
        (missing, "No such file"),
        (Path.mkdir, "Is a directory"),
    ],
)
def test_anything_but_a_picture_is_one_clear_line(
    tmp_path: Path, read: Callable[[Path], object], make: Callable[[Path], None], message: str
) -> None:
    make(tmp_path / "a.png")
    with pytest.raises(ImageError, match=message) as caught:
        read(tmp_path / "a.png")
    assert str(caught.value).startswith(str(tmp_path / "a.png"))
    assert "\n" not in str(caught.value)


def test_an_indexed_label_gives_indices_and_not_colours(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 256, (9, 13)).astype(np.uint8)
    indexed = Image.fromarray(ids, "P")
    indexed.putpalette(np.random.default_rng(1).integers(0, 256, 768, np.uint8).tobytes())
    indexed.save(tmp_path / "a.png", transparency=3)
    assert (read_label(tmp_path / "a.png") == ids).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_an_indexed_label_of_few_bits_gives_indices(tmp_path: Path, bits: int) -> None:
    ids = np.random.default_rng(0).integers(0, 1 << bits, (9, 13)).astype(np.uint8)
    indexed = Image.fromarray(ids, "P")
    indexed.putpalette(bytes(range(100, 100 + 3 * (1 << bits))))
    indexed.save(tmp_path / "a.png", bits=bits)
    assert (tmp_path / "a.png").read_bytes()[24] == bits
    assert (read_label(tmp_path / "a.png") == ids).all()


def test_a_black_and_white_label_holds_zeros_and_ones(tmp_path: Path) -> None:
    ids = np.eye(10, dtype=np.uint8)
    Image.fromarray(ids * 255).convert("1").save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[24] == 1
    assert (read_label(tmp_path / "a.png") == ids).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_label_is_unscaled(tmp_path: Path, dtype: type) -> None:
    ids: npt.NDArray[np.unsignedinteger] = (
        np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 13)).astype(dtype)
    )
    cv2.imwrite(str(tmp_path / "a.png"), ids)
    label = read_label(tmp_path / "a.png")
    assert label.dtype == dtype
    assert (label == ids).all()


@pytest.mark.parametrize(("name", "message"), [("a.png", "stores colours"), ("a.jpg", "is a JPEG")])
def test_a_colour_picture_or_a_jpeg_is_no_label(tmp_path: Path, photo: Image.Image, name: str, message: str) -> None:
    photo.save(tmp_path / name)
    with pytest.raises(ImageError, match=message):
        read_label(tmp_path / name)


@settings(max_examples=30)
@given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.integers(0, len(PALETTE) - 1)))
def test_a_mask_keeps_its_ids_and_shows_the_palette(
    tmp_path_factory: pytest.TempPathFactory, ids: npt.NDArray[np.uint8]
) -> None:
    path = tmp_path_factory.mktemp("mask") / "m.png"
    write_mask(path, ids, PALETTE)
    assert (read_label(path) == ids).all()
    with Image.open(path) as image:
        assert image.mode == "P"
        assert (np.asarray(image) == ids).all()
        assert (pixels(image) == np.array(PALETTE)[ids]).all()
    assert (read_image(path) == np.array(PALETTE)[ids]).all()


def test_a_mask_of_256_classes_is_indexed_and_one_of_257_is_16_bit_grey(tmp_path: Path) -> None:
    ids = np.arange(256, dtype=np.int32).reshape(16, 16)
    write_mask(tmp_path / "a.png", ids, [(i, 0, 0) for i in range(256)])
    write_mask(tmp_path / "b.png", ids + 1, [(0, 0, 0)] * 257)
    assert (tmp_path / "a.png").read_bytes()[24:26] == b"\x08\x03"  # 8 bits, indexed
    assert (read_label(tmp_path / "a.png") == ids).all()
    assert read_label(tmp_path / "b.png").dtype == np.uint16
    assert (read_label(tmp_path / "b.png") == ids + 1).all()


def test_pixels_of_no_class_are_black_in_a_mask(tmp_path: Path) -> None:
    write_mask(tmp_path / "a.png", np.array([[0, 255]], np.uint8), PALETTE)
    assert read_label(tmp_path / "a.png").tolist() == [[0, 255]]
    assert read_image(tmp_path / "a.png").tolist() == [[list(PALETTE[0]), [0, 0, 0]]]


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.png.part"])
def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="is not a format that pictures can be written in"):
        write_image(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_mask_is_only_written_as_png(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"name the file .png"):
        write_mask(tmp_path / "a.jpg", np.zeros((2, 2), np.uint8), PALETTE)


def test_a_missing_folder_or_a_folder_in_the_way_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "missing" / "a.png", tmp_path / "folder.png"):
        with pytest.raises(OutputError, match="cannot be written"):
            write_image(path, np.zeros((2, 2, 3), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    write_image(tmp_path / "a.png", np.full((2, 2, 3), 9, np.uint8))
    code = (
        "import resource, signal, sys; from pathlib import Path; import numpy as np\n"
        "from afformer.images import write_image; from afformer.errors import OutputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)\n"
        "try: write_image(Path(sys.argv[1]), noise)\n"
        "except OutputError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "a.png: cannot be written (File too large)" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (read_image(tmp_path / "a.png") == 9).all()


@pytest.mark.parametrize("read", [read_image, read_label])
def test_a_path_with_a_nul_character_is_one_line(read: Callable[[Path], object]) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read(Path("a\0b.png"))


def test_a_label_above_the_limit_of_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "a.tif"):
        Image.new("L", (200, 100)).save(tmp_path / name)
    monkeypatch.setenv("AFFORMER_MAX_PIXELS", "19999")
    for name in ("a.png", "a.tif"):
        with pytest.raises(ImageError, match=f"{name}: has 200x100 pixels, more than the limit of 19999"):
            read_label(tmp_path / name)
    monkeypatch.setenv("AFFORMER_MAX_PIXELS", "20000")
    assert read_label(tmp_path / "a.png").shape == read_label(tmp_path / "a.tif").shape == (100, 200)


def test_the_orientation_of_a_huge_picture_is_read_as_well(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.png", exif=exif)  # Pillow's own limit is lower
    assert exif_orientation(tmp_path / "a.png") == 6

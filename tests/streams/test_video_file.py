"""Video files and stdin, with the codecs that PyAV's wheel brings."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from afformer.errors import ImageError
from afformer.streams.sources import open_source
from afformer.streams.video_file import VideoFile
from tests.builders.film import write_film
from tests.builders.videos import street, write_clip

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_every_frame_comes_once_in_order_and_in_rgb(tmp_path: Path, name: str) -> None:
    source = VideoFile(write_clip(tmp_path / name, frames=12, fps=12.5))
    assert (source.fps, source.live, source.dropped, source.name) == (12.5, False, 0, "a")
    frames = list(source)
    assert [frame.index for frame in frames] == list(range(12))
    assert frames[3].name == "a_000003"
    for frame, original in zip(frames, street(12), strict=True):
        assert np.abs(frame.image - original.astype(float)).mean() < 6
    times = np.array([frame.time_s for frame in frames], np.float64)
    np.testing.assert_allclose(times, np.arange(12) / 12.5, atol=0.001)


def test_the_length_is_known_where_the_container_stores_it(tmp_path: Path) -> None:
    assert VideoFile(write_clip(tmp_path / "a.mp4", 7)).length == 7
    assert VideoFile(write_clip(tmp_path / "a.mkv", 7)).length is None


def test_a_video_can_be_read_twice_and_left_early(tmp_path: Path) -> None:
    with VideoFile(write_clip(tmp_path / "a.mp4", 5)) as source:
        first = next(iter(source))
        assert [frame.index for frame in source] == [0, 1, 2, 3, 4]
        np.testing.assert_array_equal(next(iter(source)).content, first.content)


def test_pictures_given_back_are_used_again_and_others_never(tmp_path: Path) -> None:
    source = VideoFile(write_clip(tmp_path / "a.mp4", 12))
    kept = [id(frame.content) for frame in list(source)]
    assert len(set(kept)) == 12
    recycled = set()
    for frame in source:
        recycled.add(id(frame.content))
        source.recycle(frame)
    assert len(recycled) <= 2


def test_a_video_that_is_cut_off_ends_with_an_error(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.avi", 40).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    *good, last = VideoFile(tmp_path / "cut.avi")
    assert 10 < len(good) < 30
    assert isinstance(last.content, ImageError)
    assert f"cut.avi: ends after {len(good)} of 40 frames; the file is truncated" in str(last.content)


@pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 5000])
def test_anything_but_a_video_is_one_clear_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.mp4: is not a video that can be read") as caught:
        VideoFile(tmp_path / "a.mp4")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["jpg", "png", "mkv", "avi"])
def test_stdin_takes_pictures_and_videos_that_can_be_piped(tmp_path: Path, kind: str) -> None:
    if kind in ("jpg", "png"):
        pictures = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in street(6)]
        data = b"".join(cv2.imencode(f".{kind}", picture)[1].tobytes() for picture in pictures)
    else:
        data = write_clip(tmp_path / f"a.{kind}", 6).read_bytes()
    assert read_stdin(data) == [(f"stdin_{i:06d}", (120, 160, 3)) for i in range(6)]


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_bare_pictures_have_no_rate_and_no_time_stamps_but_motion_jpeg_in_a_container_does(
    tmp_path: Path, kind: str
) -> None:
    pictures = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in street(6)]
    bare = tmp_path / "bare.mjpeg"
    bare.write_bytes(b"".join(cv2.imencode(f".{kind}", picture)[1].tobytes() for picture in pictures))
    for path, fps, times in (
        (bare, None, [None] * 6),
        (write_clip(tmp_path / "a.avi", 3), 25, [0, 0.04, 0.08]),
    ):
        with open_source(path) as source:
            assert source.fps == fps
            assert [frame.time_s and round(frame.time_s, 6) for frame in source] == times


def test_stdin_without_a_video_is_one_clear_line() -> None:
    for data in (b"", b"no video at all" * 100):
        assert "stdin: holds no video or pictures that can be read from a pipe" in str(read_stdin(data))


def test_a_video_that_cannot_be_piped_is_an_error_and_not_empty(tmp_path: Path) -> None:
    problem = read_stdin(write_clip(tmp_path / "a.mp4", 200, size_hw=(240, 320)).read_bytes())
    assert "stdin: holds no video or pictures that can be read from a pipe" in str(problem)


@pytest.mark.parametrize("end", [b"", b"\0\0", b"\n"])
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "GIF"])
def test_one_picture_on_stdin_is_one_still_picture(fmt: str, end: bytes) -> None:
    data = io.BytesIO()
    Image.fromarray(street(1)[0]).save(data, fmt)
    assert read_stdin(data.getvalue() + end) == [("stdin", (120, 160, 3))]


def test_pictures_on_stdin_keep_their_sizes_and_stand_upright() -> None:
    data = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    for size in ((120, 160), (60, 80)):
        Image.fromarray(street(1, size)[0]).save(data, "JPEG", exif=exif)
    assert read_stdin(data.getvalue()) == [("stdin_000000", (160, 120, 3)), ("stdin_000001", (80, 60, 3))]


def test_a_photo_that_brings_other_versions_of_itself_is_one_picture() -> None:
    data = io.BytesIO()
    photo, preview = (Image.fromarray(street(1, size)[0]) for size in ((120, 160), (60, 80)))
    photo.save(data, "MPO", save_all=True, append_images=[preview])
    assert read_stdin(data.getvalue()) == [("stdin", (120, 160, 3))]


def test_a_stream_of_pictures_that_breaks_off_ends_with_an_error() -> None:
    pictures = [cv2.imencode(".jpg", image)[1].tobytes() for image in street(3)]
    *good, (_, problem) = read_stdin(b"".join(pictures)[:-2000])
    assert [name for name, _ in good] == ["stdin_000000", "stdin_000001"]
    assert "stdin, picture 3: is truncated" in problem


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_a_film_stands_upright(tmp_path: Path, rotation: int) -> None:
    path = write_film(tmp_path / "a.mp4", [0, 0.04], rotation=rotation, aspect=Fraction(4, 3))
    with VideoFile(path) as source:
        frame = next(iter(source))
        expected = np.rot90(street(1)[0], rotation // 90)
        assert frame.image.shape == expected.shape
        assert np.abs(frame.image - expected.astype(float)).mean() < 6
        assert source.track
        assert source.track.pixel_aspect == (Fraction(3, 4) if rotation % 180 else Fraction(4, 3))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_still_picture_does_not_hide_the_film(tmp_path: Path, name: str) -> None:
    frames = list(VideoFile(write_film(tmp_path / name, [i / 25 for i in range(6)], cover=True)))
    assert [frame.image.shape for frame in frames] == [(120, 160, 3)] * 6


def test_music_with_a_cover_is_no_video(tmp_path: Path) -> None:
    cover = av.stream.Disposition.attached_pic
    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        still: Any = container.add_stream("mjpeg", rate=25)
        still.width, still.height, still.pix_fmt, still.disposition = 64, 48, "yuvj420p", cover
        container.mux(still.encode(av.VideoFrame(64, 48, "yuvj420p")))
        container.mux(still.encode(None))
    with pytest.raises(ImageError, match="holds no video but a cover picture"):
        VideoFile(tmp_path / "a.m4a")


@pytest.mark.parametrize(("curve", "name"), [(16, "PQ"), (18, "HLG")])
@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 18, reason="PyAV 17 converts no HDR")
def test_hdr_is_converted_and_said(tmp_path: Path, curve: int, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    colours = {"color_trc": curve, "color_primaries": 9, "colorspace": 9, "color_range": 1}
    path = write_film(tmp_path / "a.mkv", [0, 0.04], colours=colours)
    frame = next(iter(VideoFile(path)))
    assert f"{name} (HDR) colours are converted" in capfd.readouterr().err
    with av.open(str(path)) as container:
        flat = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert frame.image.std() > 1.1 * flat.std()


@pytest.mark.skipif(int(av.__version__.split(".")[0]) > 17, reason="PyAV 18 converts HDR")
def test_hdr_that_cannot_be_converted_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert list(VideoFile(write_film(tmp_path / "a.mkv", [0, 0.04], colours={"color_trc": 16})))
    assert "PQ (HDR) colours are taken as they are" in capfd.readouterr().err


CONTAINERS = {
    "a.mp4": {},
    "fast.mp4": {"movflags": "+faststart"},
    "frag.mp4": {"movflags": "+frag_keyframe+empty_moov"},
    "a.mkv": {},
    "live.mkv": {"live": "1"},
    "a.mov": {},
    "a.avi": {},
    "a.ts": {},
    "a.m2ts": {},
    "a.flv": {},
    "a.wmv": {},
    "a.ogv": {},
    "a.gif": {},
    "a.ivf": {},
    "live.webm": {"live": "1"},
}
_CODECS = {".avi": "mpeg4", ".wmv": "wmv2", ".ogv": "libvpx", ".webm": "libvpx", ".ivf": "libvpx", ".gif": "gif"}
_SILENT = (".gif", ".ivf")


def container(path: Path, frames: int) -> Path:
    """A film in the container that the name stands for, with the codec and the sound that it takes."""
    codec, sound = _CODECS.get(path.suffix, "libx264"), "libopus" if path.suffix in (".ogv", ".webm") else "libmp3lame"
    times = [i / 25 for i in range(frames)]
    sound = "" if path.suffix in _SILENT else sound
    return write_film(path, times, codec=codec, sound=sound, sound_s=frames / 20, options=CONTAINERS[path.name])


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_whole_file_is_not_said_to_be_truncated(tmp_path: Path, name: str) -> None:
    frames = list(VideoFile(container(tmp_path / name, 40)))
    assert [isinstance(frame.content, ImageError) for frame in frames] == [False] * 40


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("a.ts", b"\0" * 77),
        ("a.mp4", b"\x7f\0\0\0junk" * 9),
        ("a.mkv", bytes(99)),
        ("a.flv", bytes(99)),
        ("a.gif", bytes(9)),
    ],
)
def test_what_is_appended_to_a_whole_file_is_no_damage(tmp_path: Path, name: str, end: bytes) -> None:
    path = container(tmp_path / name, 10)
    path.write_bytes(path.read_bytes() + end)
    assert [isinstance(frame.content, ImageError) for frame in VideoFile(path)] == [False] * 10


@pytest.mark.parametrize("name", sorted(CONTAINERS.keys() - {"a.mp4", "a.mov"}))
@pytest.mark.parametrize("kept", [0.6, 0.97])
def test_a_truncated_file_is_said_to_be_truncated(tmp_path: Path, name: str, kept: float) -> None:
    path = container(tmp_path / name, 60)
    whole = path.read_bytes()
    packet = 192 if name.endswith(".m2ts") else 188
    path.write_bytes(whole[: int(len(whole) * kept) // packet * packet + 50])
    *frames, last = VideoFile(path)
    assert len(frames) > 10
    assert "truncated" in str(last.content)


@pytest.mark.parametrize("name", ["a.ts", "live.webm"])
def test_times_go_on_where_recordings_were_put_one_behind_the_other(tmp_path: Path, name: str) -> None:
    path = container(tmp_path / name, 20)
    path.write_bytes(path.read_bytes() * 2)
    times = [frame.time_s for frame in VideoFile(path)]
    assert times == pytest.approx([i / 25 for i in range(40)], abs=0.03)


def test_a_film_in_avi_that_refers_to_later_frames_keeps_its_order(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.avi", [i / 25 for i in range(30)], base=Fraction(1, 25))
    source = VideoFile(path)
    assert [frame.time_s for frame in source] == pytest.approx([i / 25 for i in range(30)])
    assert source.track
    assert source.track.start_s == 0


def test_a_count_that_cannot_be_true_is_not_believed(tmp_path: Path) -> None:
    path = container(tmp_path / "a.avi", 12)
    data = bytearray(path.read_bytes())
    for name, at in ((b"avih", 24), (b"strh", 40)):
        struct.pack_into("<I", data, data.index(name) + at, 1 << 30)
    path.write_bytes(data)
    source = VideoFile(path)
    assert (source.length, len(list(source))) == (None, 12)


def test_a_video_without_its_index_is_said_to_be_truncated(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", [i / 25 for i in range(40)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="the file is truncated"):
        VideoFile(path)


def read_stdin(data: bytes) -> Any:
    """Name and shape, or error, of each frame that another process reads from its stdin."""
    code = (
        "from afformer.streams.sources import open_source\n"
        "from afformer.errors import ImageError\n"
        "try: print([(f.name, getattr(f.content, 'shape', str(f.content))) for f in open_source('-')])\n"
        "except ImageError as error: print(repr(str(error)))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, cwd=ROOT, capture_output=True, check=True)
    assert done.stderr == b""
    return eval(done.stdout)  # what the line above printed

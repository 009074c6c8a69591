"""Video files and stdin, with the codecs that OpenCV's wheel brings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from afformer.errors import ImageError
from afformer.streams.video_file import VideoFile
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
        assert np.abs(frame.content - original.astype(float)).mean() < 6
    times = [frame.time_s for frame in frames]
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
    assert f"cut.avi: ends after {len(good)} of 40 frames" in str(last.content)


@pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 5000])
def test_anything_but_a_video_is_one_clear_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.mp4: is not a video that OpenCV can read") as caught:
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
        with VideoFile(path) as source:
            assert source.fps == fps
            assert [frame.time_s and round(frame.time_s, 6) for frame in source] == times


def test_stdin_without_a_video_is_one_clear_line() -> None:
    for data in (b"", b"no video at all" * 100):
        assert "stdin: holds no video or pictures that can be read from a pipe" in str(read_stdin(data))


def test_a_video_that_cannot_be_piped_is_an_error_and_not_empty(tmp_path: Path) -> None:
    ((_, problem),) = read_stdin(write_clip(tmp_path / "a.mp4", 200, size_hw=(240, 320)).read_bytes())
    assert "stdin: holds no video or pictures that can be read from a pipe" in str(problem)


def read_stdin(data: bytes) -> object:
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

"""Video files in and out, with the codecs that OpenCV's wheel brings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afformer.errors import ImageError, OutputError
from afformer.streams.sources import Frame
from afformer.streams.video import Pace, VideoFile, VideoSink, inset
from tests.builders.videos import RENDERER, SIZE_HW, by_brightness, facts, street, write_clip

ROOT = Path(__file__).parents[2]


def write(sink: VideoSink, frames: int, times: list[float] | None = None) -> list[Path]:
    for i, image in enumerate(street(frames)):
        sink.write(Frame(i, f"f{i}", image, time_s=times[i] if times else None), by_brightness(image))
    return sink.close()


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
def test_what_is_no_video_is_one_clear_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.mp4: is no video that OpenCV can read") as caught:
        VideoFile(tmp_path / "a.mp4")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".avi"])
def test_an_annotated_video_has_every_frame_the_rate_and_the_size(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    assert write(VideoSink(path, RENDERER, 29.97), 20) == [path]
    count, fps, size = facts(path)
    assert (count, size) == (20, SIZE_HW)
    assert fps == pytest.approx(29.97, abs=0.01)
    assert list(tmp_path.iterdir()) == [path]


def test_an_annotated_video_shows_the_overlays(tmp_path: Path) -> None:
    write(VideoSink(tmp_path / "out.avi", RENDERER), 3)
    for frame, original in zip(VideoFile(tmp_path / "out.avi"), street(3), strict=True):
        drawn = RENDERER.overlay(original, by_brightness(original))
        assert np.abs(frame.content - drawn.astype(float)).mean() < 6


def test_nothing_is_there_before_the_end_and_nothing_without_frames(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", RENDERER)
    sink.write(Frame(0, "a", street(1)[0]), by_brightness(street(1)[0]))
    assert not (tmp_path / "out.mp4").exists()
    sink.close()
    assert sink.close() == []
    assert facts(tmp_path / "out.mp4")[0] == 1
    assert VideoSink(tmp_path / "none.mp4", RENDERER).close() == []
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_frame_of_another_size_is_an_error_and_the_video_before_it_is_kept(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", RENDERER)
    for image in street(3):
        sink.write(Frame(0, "a", image), by_brightness(image))
    small = street(1, (60, 80))[0]
    with pytest.raises(OutputError, match=r"has one size, but small is 80x60 after frames of 160x120"):
        sink.write(Frame(3, "small", small), by_brightness(small))
    sink.close()
    assert facts(tmp_path / "out.mp4")[0] == 3


def test_odd_sizes_lose_their_last_row_and_column(tmp_path: Path) -> None:
    image = street(1, (61, 81))[0]
    sink = VideoSink(tmp_path / "out.mp4", RENDERER)
    sink.write(Frame(0, "a", image), by_brightness(image))
    sink.close()
    assert facts(tmp_path / "out.mp4") == (1, 25.0, (60, 80))


def test_a_paced_video_runs_as_fast_as_the_world(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", RENDERER, 10, paced=True)
    write(sink, 4, [0.0, 0.1, 0.5, 0.6])
    assert sink.frames == facts(tmp_path / "out.mp4")[0] == 7


@given(st.lists(st.floats(0, 3), min_size=1, max_size=30), st.sampled_from([1.0, 12.5, 30.0]))
def test_pacing_keeps_up_but_never_runs_more_than_a_gap_ahead(gaps: list[float], fps: float) -> None:
    pace, written, now, capped = Pace(fps), 0, 0.0, 0.0
    for i, gap in enumerate(gaps):
        now, capped = now + gap * (i > 0), capped + min(gap, 2.0 + 1 / fps) * (i > 0)
        written += pace.repeats(now) + 1
        assert written >= i + 1  # every frame is written
    assert written <= capped * fps + len(gaps) + 1


def test_a_legend_is_drawn_into_the_corner(tmp_path: Path) -> None:
    write(VideoSink(tmp_path / "plain.avi", RENDERER), 1)
    write(VideoSink(tmp_path / "legend.avi", RENDERER, legend=True), 1)
    (plain,), (legend,) = VideoFile(tmp_path / "plain.avi"), VideoFile(tmp_path / "legend.avi")
    difference = np.abs(plain.content.astype(float) - legend.content).mean(axis=2)
    assert difference[:20, :20].mean() > 20
    assert difference[:, SIZE_HW[1] // 2 + 8 :].mean() < 3


@pytest.mark.parametrize("panel_hw", [(10, 10), (300, 20), (20, 900)])
def test_an_inset_never_covers_more_than_half_the_width(panel_hw: tuple[int, int]) -> None:
    picture = inset(np.zeros((100, 200, 3), np.uint8), np.full((*panel_hw, 3), 255, np.uint8))
    assert picture.shape == (100, 200, 3)
    assert (picture[:5, :5] == 255).any()
    assert (picture[:, 100:] == 0).all()


@pytest.mark.parametrize(
    ("name", "fps", "message"),
    [
        ("out.gif", 25, r"'.gif' is no video format that can be written; use .mp4"),
        ("out", 25, r"'' is no video format"),
        ("out.mp4", 0, r"between 0 and 300 frames a second, got 0"),
        ("none/out.mp4", 25, r"cannot be written \(No such file"),
    ],
)
def test_a_video_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, name: str, fps: float, message: str
) -> None:
    with pytest.raises(OutputError, match=message):
        VideoSink(tmp_path / name, RENDERER, fps)
    assert list(tmp_path.iterdir()) == []


def test_a_frame_without_a_picture_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds an error"):
        VideoSink(tmp_path / "a.mp4", RENDERER).write(Frame(0, "a", ImageError("broken")), np.zeros((2, 2), np.uint8))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        "from pathlib import Path\n"
        "from tests.streams.test_video import *\n"
        "try: write(VideoSink(Path(sys.argv[1]), RENDERER), 100)\n"
        "except OutputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / name)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "is the disk full?" in done.stdout
    assert list(tmp_path.iterdir()) == []


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

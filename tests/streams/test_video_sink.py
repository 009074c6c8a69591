"""Annotated videos, with the codecs that OpenCV's wheel brings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afformer.errors import ImageError, OutputError
from afformer.streams.frames import Frame
from afformer.streams.video_file import VideoFile
from afformer.streams.video_sink import Pace, VideoSink
from tests.builders.videos import RENDERER, SIZE_HW, by_brightness, facts, street, write_ride

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".avi"])
def test_an_annotated_video_has_every_frame_the_rate_and_the_size(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    assert write_ride(VideoSink(path, RENDERER, 29.97), 20) == [path]
    count, fps, size = facts(path)
    assert (count, size) == (20, SIZE_HW)
    assert fps == pytest.approx(29.97, abs=0.01)
    assert list(tmp_path.iterdir()) == [path]


def test_an_annotated_video_shows_the_overlays(tmp_path: Path) -> None:
    write_ride(VideoSink(tmp_path / "out.avi", RENDERER), 3)
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
    write_ride(sink, 4, [0.0, 0.1, 0.5, 0.6])
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
    write_ride(VideoSink(tmp_path / "plain.avi", RENDERER), 1)
    write_ride(VideoSink(tmp_path / "legend.avi", RENDERER, legend=True), 1)
    (plain,), (legend,) = VideoFile(tmp_path / "plain.avi"), VideoFile(tmp_path / "legend.avi")
    difference = np.abs(plain.content.astype(float) - legend.content).mean(axis=2)
    assert difference[:20, :20].mean() > 20
    assert difference[:, SIZE_HW[1] // 2 + 8 :].mean() < 3


@pytest.mark.parametrize(
    ("name", "fps", "message"),
    [
        ("out.gif", 25, r"'.gif' is not a video format that can be written; use .mp4"),
        ("out", 25, r"'' is not a video format"),
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
        "from afformer.errors import OutputError\n"
        "from afformer.streams.video_sink import VideoSink\n"
        "from tests.builders.videos import RENDERER, write_ride\n"
        "try: write_ride(VideoSink(Path(sys.argv[1]), RENDERER), 100)\n"
        "except OutputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / name)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "is the disk full?" in done.stdout
    assert list(tmp_path.iterdir()) == []

"""Annotated videos, with the codecs that PyAV's wheel brings."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afformer.errors import ImageError, OutputError
from afformer.streams.choices import Codec
from afformer.streams.frames import Frame
from afformer.streams.video_file import VideoFile
from afformer.streams.video_sink import VideoSink
from tests.builders.film import film, write_film
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


def test_a_live_video_keeps_the_times_of_its_frames_and_shortens_long_gaps(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", RENDERER, 10, paced=True)
    write_ride(sink, 5, [7.0, 7.1, 7.5, 60.0, 60.25])
    assert film(tmp_path / "out.mp4").times_s == pytest.approx([0, 0.1, 0.5, 2.5, 2.75], abs=1e-4)


@given(st.lists(st.floats(0, 30), min_size=2, max_size=12))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_times_of_a_live_video_rise_and_no_gap_is_longer_than_two_seconds(tmp_path: Path, gaps: list[float]) -> None:
    times = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    write_ride(VideoSink(tmp_path / "out.mp4", RENDERER, 10, paced=True), len(times), times)
    steps = np.diff(film(tmp_path / "out.mp4").times_s)
    assert len(steps) == len(times) - 1
    assert (steps > 0).all()
    assert (steps <= 2.001).all()


def test_frames_of_a_video_are_shown_at_the_times_of_the_source(tmp_path: Path) -> None:
    times = [0, 0.1, 0.15, 0.9, 2.4, 2.41]
    source = VideoFile(write_film(tmp_path / "vfr.mp4", times))
    annotate(source, tmp_path / "out.mp4")
    assert film(tmp_path / "out.mp4").times_s == pytest.approx(times, abs=1e-4)


def test_times_are_kept_without_a_track_too(tmp_path: Path) -> None:
    times = [0, 0.013, 0.6]
    write_ride(VideoSink(tmp_path / "out.mp4", RENDERER), 3, times)
    assert film(tmp_path / "out.mp4").times_s == pytest.approx(times, abs=1e-4)


def test_an_odd_size_is_kept_where_the_codec_takes_it_and_said_where_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = street(1, (61, 81))[0]
    for codec, size in ((Codec.H264, (60, 80)), (Codec.MPEG4, (61, 81)), (Codec.MJPEG, (61, 81))):
        with VideoSink(tmp_path / "out.mp4", RENDERER, codec=codec) as sink:
            sink.write(Frame(0, "a", image), by_brightness(image))
        assert film(tmp_path / "out.mp4").size_hw == size
        said = capfd.readouterr().err
        assert ("is 80x60, as h264 takes even sizes only; frames are 81x61" in said) == (codec is Codec.H264)


def test_a_frame_of_another_size_is_fitted_into_the_video(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mp4", RENDERER)
    for i, size in enumerate(((120, 160), (60, 160), (240, 320))):
        image = street(1, size)[0]
        sink.write(Frame(i, "a", image, time_s=i / 25), by_brightness(image))
    sink.close()
    _, wide, large = (frame.image for frame in VideoFile(tmp_path / "out.mp4"))
    assert wide.shape == large.shape == (120, 160, 3)
    assert wide[:25].mean() < 5 < wide[40:80].mean()
    assert large[:25].mean() > 5


@pytest.mark.parametrize("sound", ["aac", "libmp3lame", "libopus", "flac"])
def test_the_sound_is_copied_as_it_is(tmp_path: Path, sound: str) -> None:
    clip = write_film(tmp_path / "a.mkv", [i / 25 for i in range(10)], sound=sound)
    annotate(VideoFile(clip), tmp_path / "out.mp4")
    ((codec, times),) = film(tmp_path / "out.mp4").sound
    ((known, expected),) = film(clip).sound
    assert codec == known
    assert len(times) == len(expected)
    assert times == pytest.approx(expected, abs=0.002)


def test_sound_that_mp4_does_not_take_is_encoded_again_at_its_time(tmp_path: Path) -> None:
    clip = write_film(tmp_path / "a.mkv", [i / 25 for i in range(10)], sound="pcm_s16le", sound_s=1.5)
    annotate(VideoFile(clip), tmp_path / "out.mp4")
    ((codec, times),) = film(tmp_path / "out.mp4").sound
    assert codec == "aac"
    assert times[0] == pytest.approx(0, abs=0.03)
    assert times[-1] == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize("sound", ["libmp3lame", "mp2"])
def test_the_sound_goes_on_where_recordings_were_put_one_behind_the_other(tmp_path: Path, sound: str) -> None:
    clip = write_film(tmp_path / "a.ts", [i / 25 for i in range(25)], sound=sound)
    clip.write_bytes(clip.read_bytes() * 2)
    annotate(VideoFile(clip), tmp_path / "out.mp4")
    made = film(tmp_path / "out.mp4")
    assert made.times_s[-1] - made.times_s[0] == pytest.approx(49 / 25, abs=0.02)
    ((_, times),) = made.sound
    assert max(np.diff(times)) < 0.06
    assert times[-1] == pytest.approx(2, abs=0.1)


def test_sound_that_begins_late_is_kept_at_its_time(tmp_path: Path) -> None:
    clip = write_film(tmp_path / "a.ts", [i / 5 for i in range(100)], sound="mp2", sound_at_s=18)
    annotate(VideoFile(clip), tmp_path / "out.mp4")
    ((_, times),) = film(tmp_path / "out.mp4").sound
    assert times[0] == pytest.approx(18, abs=0.1)


def test_sound_that_nothing_is_known_of_is_left_out_with_a_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    silent = write_film(tmp_path / "a.ts", [i / 25 for i in range(50)])
    spoken = write_film(tmp_path / "b.ts", [i / 25 for i in range(25)], sound="aac")
    silent.write_bytes(silent.read_bytes() * 4 + spoken.read_bytes())
    annotate(VideoFile(silent), tmp_path / "out.mp4")
    made = film(tmp_path / "out.mp4")
    assert (len(made.times_s), made.sound) == (225, [])
    assert "is written without sound that is in an unknown form" in capfd.readouterr().err


def test_an_interrupted_video_has_no_more_sound_than_pictures(tmp_path: Path) -> None:
    source = VideoFile(write_film(tmp_path / "a.mp4", [i / 25 for i in range(100)], sound="aac", sound_s=4))
    sink = VideoSink(tmp_path / "out.mp4", RENDERER, track=source.track)
    for frame in itertools.islice(source, 25):
        sink.write(frame, by_brightness(frame.image))
    sink.close()
    ((_, times),) = film(tmp_path / "out.mp4").sound
    assert times[-1] == pytest.approx(1.0, abs=0.05)


def test_the_pixels_keep_their_aspect_ratio(tmp_path: Path) -> None:
    clip = write_film(tmp_path / "a.mp4", [0, 0.04], aspect=Fraction(16, 11))
    annotate(VideoFile(clip), tmp_path / "out.mp4")
    assert film(tmp_path / "out.mp4").aspect == Fraction(16, 11)


@pytest.mark.parametrize(
    ("codec", "name", "expected"),
    [
        (Codec.H264, "a.mp4", "h264"),
        (Codec.HEVC, "a.mp4", "hevc"),
        (Codec.MPEG4, "a.mp4", "mpeg4"),
        (Codec.MJPEG, "a.mkv", "mjpeg"),
        (None, "a.mp4", "h264"),
        (None, "a.avi", "mjpeg"),
    ],
)
def test_the_codec_is_the_one_that_was_asked_for(tmp_path: Path, codec: Codec | None, name: str, expected: str) -> None:
    write_ride(VideoSink(tmp_path / name, RENDERER, codec=codec), 3)
    made = film(tmp_path / name)
    assert (made.codec, len(made.times_s)) == (expected, 3)


@pytest.mark.parametrize("fps", [0.2, 1, 12.5, 29.97, 240, 1000])
@pytest.mark.parametrize("codec", [Codec.H264, Codec.MPEG4])
def test_every_frame_rate_is_kept(tmp_path: Path, fps: float, codec: Codec) -> None:
    write_ride(VideoSink(tmp_path / "out.mp4", RENDERER, fps, codec=codec), 4)
    assert film(tmp_path / "out.mp4").times_s == pytest.approx([i / fps for i in range(4)], abs=1e-4)


def annotate(source: VideoFile, path: Path) -> None:
    """Writes the overlays of a whole video."""
    with VideoSink(path, RENDERER, source.fps or 25, track=source.track) as sink:
        for frame in source:
            sink.write(frame, by_brightness(frame.image))


def test_a_legend_is_drawn_into_the_corner(tmp_path: Path) -> None:
    write_ride(VideoSink(tmp_path / "plain.avi", RENDERER), 1)
    write_ride(VideoSink(tmp_path / "legend.avi", RENDERER, legend=True), 1)
    (plain,), (legend,) = VideoFile(tmp_path / "plain.avi"), VideoFile(tmp_path / "legend.avi")
    difference = np.abs(plain.image.astype(float) - legend.image).mean(axis=2)
    assert difference[:20, :20].mean() > 20
    assert difference[:, SIZE_HW[1] // 2 + 8 :].mean() < 3


@pytest.mark.parametrize(
    ("name", "fps", "message"),
    [
        ("out.gif", 25, r"'.gif' is not a video format that can be written; use .mp4"),
        ("out", 25, r"'' is not a video format"),
        ("out.mp4", 0, r"between 0 and 1000 frames a second, got 0"),
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
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))\n"
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

"""`afformer-cli infer` on what moves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from afformer import assets
from afformer.images import write_image
from tests.builders.cli import error_of, run
from tests.builders.fake_gui import FakeGui
from tests.builders.film import film
from tests.builders.rtsp_server import rtsp_server
from tests.builders.videos import SIZE_HW, facts, mjpeg_server, street, write_clip

MODEL = assets.MODEL


def test_a_video_becomes_an_annotated_video_of_its_rate_and_size(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "street.mp4", frames=4, fps=12.5)
    result = run("infer", MODEL, clip, "-o", tmp_path / "out", "--smooth", 3)
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["street_overlay.mp4"]
    assert facts(tmp_path / "out" / "street_overlay.mp4") == (4, 12.5, SIZE_HW)
    assert result.stdout.splitlines()[-1].startswith("4 frames on ONNX Runtime")


def test_masks_video_and_json_lines_at_once(tmp_path: Path) -> None:
    clip, out = write_clip(tmp_path / "street.avi", frames=3), tmp_path / "out"
    kinds = [option for kind in ("mask", "video", "jsonl") for option in ("--write", kind)]
    report = json.loads(run("infer", MODEL, clip, "-o", out, *kinds, "--json").stdout)
    assert (report["frames"], report["ending"], len(report["finished"])) == (3, "end of the source", 2)
    assert facts(out / "street_overlay.mp4")[0] == 3
    assert len(list(out.glob("street_00000?_mask.png"))) == 3
    assert len((out / "street.jsonl").read_text().splitlines()) == 3


def test_json_lines_alone_go_to_stdout(tmp_path: Path) -> None:
    result = run("infer", MODEL, write_clip(tmp_path / "a.mkv", 2), "--write", "jsonl")
    assert [json.loads(line)["index"] for line in result.stdout.splitlines()] == [0, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_numbered_pictures_become_a_video_on_request(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    clip = write_clip(tmp_path / "a.mp4", 3)
    run("infer", MODEL, clip, "-o", folder, "--write", "overlay")
    pattern = folder / "a_%06d_overlay.png"
    assert run("infer", MODEL, pattern, "-o", tmp_path / "b", "--write", "video").exit_code == 0
    assert facts(tmp_path / "b" / "pictures_overlay.mp4")[0] == 3


def test_numbered_pictures_get_the_rate_that_is_asked_for_and_a_video_keeps_its_own(tmp_path: Path) -> None:
    for i, picture in enumerate(street(3)):
        write_image(tmp_path / f"p{i}.png", picture)
    pictures, clip, out = tmp_path / "p%d.png", write_clip(tmp_path / "a.mp4", 2), tmp_path / "out"
    assert run("infer", MODEL, pictures, "-o", out, "--write", "video", "--fps", 7.5).exit_code == 0
    assert facts(out / "pictures_overlay.mp4") == (3, 7.5, SIZE_HW)
    bare = tmp_path / "bare.mjpeg"
    bare.write_bytes(b"".join(cv2.imencode(".jpg", picture)[1].tobytes() for picture in street(3)))
    assert run("infer", MODEL, bare, "-o", out, "--fps", 7.5).exit_code == 0
    assert facts(out / "bare_overlay.mp4") == (3, 7.5, SIZE_HW)
    before = sorted(out.iterdir())
    assert "a has its own, 25" in error_of(run("infer", MODEL, clip, "-o", out, "--fps", 7.5))
    assert "no video is written" in error_of(run("infer", MODEL, pictures, "-o", out, "--fps", 7.5))
    still = run("infer", MODEL, pictures, "-o", out, "--write", "video", "--fps", 0)
    assert "between 0 and 1000 frames a second, got 0" in error_of(still)
    too_fast = run("infer", MODEL, pictures, "-o", out, "--write", "video", "--fps", 1001)
    assert "between 0 and 1000 frames a second, got 1001" in error_of(too_fast)
    assert sorted(out.iterdir()) == before


def test_a_cut_video_is_reported_and_what_is_there_is_written(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.avi", 20).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    result = run("infer", MODEL, tmp_path / "cut.avi", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "of 20 frames" in result.stderr
    assert facts(tmp_path / "out" / "cut_overlay.mp4")[0] > 5


def test_what_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    assert "camera 97: is not there" in error_of(run("infer", MODEL, 97, "-o", tmp_path))
    assert "cannot be reached" in error_of(run("infer", MODEL, "rtsp://127.0.0.1:9/x", "-o", tmp_path))
    assert "no such file" in error_of(run("infer", MODEL, "none.mp4", "-o", tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_window_is_enough_and_files_are_written_beside_it_where_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, out, here = write_clip(tmp_path / "a.mp4", 3), tmp_path / "out", tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    guis = [FakeGui("", "s"), FakeGui("", "s")]
    monkeypatch.setattr("afformer.streams.segment.OpenCvGui", iter(guis).__next__)
    told = [run("infer", MODEL, clip, "--show").stdout, run("infer", MODEL, clip, "--show", "-o", out).stdout]
    assert [len(gui.pictures) for gui in guis] == [3, 3]
    assert [path.name for path in here.iterdir()] == ["screenshot_0001.png"]
    assert sorted(path.name for path in out.iterdir()) == ["a_overlay.mp4", "screenshot_0001.png"]
    assert told[0].startswith("screenshot_0001.png\n3 frames")
    assert str(out / "screenshot_0001.png") in told[1]


def test_pictures_stay_in_the_window_until_space_unless_they_make_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, picture in enumerate(street(2)):
        write_image(tmp_path / f"{i}.png", picture)
    guis = [FakeGui("", " ", "", " "), FakeGui(*[""] * 99, "X")]
    monkeypatch.setattr("afformer.streams.segment.OpenCvGui", iter(guis).__next__)
    assert run("infer", MODEL, tmp_path, "--show").exit_code == 0
    assert run("infer", MODEL, tmp_path, "--show", "--write", "video", "-o", tmp_path / "out").exit_code == 0
    assert [len(gui.pictures) for gui in guis] == [2, 2]
    assert guis[0].keys == []
    assert "X" in guis[1].keys


def test_show_without_windows_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cv2.getBuildInformation", lambda: "GUI:  NONE")
    assert "--no-deps opencv-python" in error_of(run("infer", MODEL, write_clip(tmp_path / "a.mp4", 2), "--show"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to whole process groups")
def test_ctrl_c_on_a_real_stream_leaves_a_valid_video_and_says_so(tmp_path: Path) -> None:
    with mjpeg_server(frames_per_connection=100_000) as url:
        command = [sys.executable, "-c", "from afformer.cli import main; main()", "infer", str(MODEL), url]
        options = ["-o", str(tmp_path / "out"), "--threads", "1"]
        process = subprocess.Popen(
            [*command, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout
        for _ in range(300):
            if list((tmp_path / "out").glob(".*.mp4")):  # it is being written
                break
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["stream_overlay.mp4"]
    assert facts(tmp_path / "out" / "stream_overlay.mp4")[0] >= 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to whole process groups")
def test_a_real_rtsp_stream_becomes_json_lines_and_is_reached_again_when_it_breaks() -> None:
    with rtsp_server(frames_per_connection=30) as url:
        command = [sys.executable, "-c", "from afformer.cli import main; main()", "infer", str(MODEL), url]
        process = subprocess.Popen(
            [*command, "--write", "jsonl", "--threads", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stderr
        said = [process.stderr.readline(), process.stderr.readline()]
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert said == [f"{url}: gives no pictures; trying again in 1 s\n", f"{url}: is back\n"]
    assert process.returncode == 130
    lines = [json.loads(line) for line in output.splitlines()]
    assert len(lines) >= 1
    for line in lines:
        assert (line["picture"], line["height"], line["width"]) == (f"stream_{line['index']:06d}", *SIZE_HW)
        assert line["captured_at"].endswith("+00:00")
    assert sorted(line["time_s"] for line in lines) == [line["time_s"] for line in lines]


def test_a_folder_of_pictures_and_videos_is_done_whole_and_a_broken_video_does_not_stop_it(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("a", "b"):
        (source / name).mkdir(parents=True)
        write_clip(source / name / "street.mp4", 2)
    write_image(source / "photo.png", street(1)[0])
    (source / "broken.mp4").write_bytes(b"no video")
    result = run("infer", MODEL, source, "-o", out)
    assert result.exit_code == 1
    assert "broken.mp4: is not a video" in result.stderr
    assert "1 picture and 4 frames on " in result.stdout
    assert result.stderr.splitlines()[-1] == "Error: 1 input could not be used"
    names = ["photo_mask.png", "photo_overlay.png", "street-2_overlay.mp4", "street_overlay.mp4"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert run("infer", MODEL, source, "-o", source, "--codec", "mpeg4").exit_code == 1
    before = sorted(source.rglob("*"))
    assert run("infer", MODEL, source, "-o", source).exit_code == 1  # results of the run before are no input
    assert sorted(source.rglob("*")) == before


def test_a_broken_video_that_comes_first_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    clip = write_clip(tmp_path / "b.mp4", 2)
    result = run("infer", MODEL, tmp_path / "a.mp4", clip, "-o", tmp_path / "out")
    assert (result.exit_code, [path.name for path in (tmp_path / "out").iterdir()]) == (1, ["b_overlay.mp4"])
    assert "a.mp4: is not a video" in result.stderr
    (tmp_path / "c.mp4").write_bytes(b"no video")
    assert "is not a video" in error_of(run("infer", MODEL, tmp_path / "a.mp4", tmp_path / "c.mp4", "-o", tmp_path))


def test_the_videos_that_once_failed_are_right(tmp_path: Path, shared: Path) -> None:
    cases = shared / "cases" / "video"
    if not cases.is_dir():
        pytest.skip("the cases are not here")
    for name, frames, code in (
        ("vfr.mp4", 44, 0),
        ("cut.mp4", 78, 0),
        ("frag_longaudio.mp4", 120, 0),
        ("trunc.mkv", 46, 1),
        ("slomo240.mov", 120, 0),
    ):
        result = run("infer", MODEL, cases / name, "-o", tmp_path)
        assert result.exit_code == code
        assert ("truncated" in result.stderr) == (code == 1)
        source, made = film(cases / name), film(tmp_path / f"{Path(name).stem}_overlay.mp4")
        assert len(made.times_s) == len(source.times_s) == frames
        assert made.times_s == pytest.approx(source.times_s, abs=1e-3)
        assert len(made.sound) == len(source.sound)

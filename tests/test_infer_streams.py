"""`afformer-cli infer` on what moves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from afformer import assets
from tests.runtime.moving_pictures import SIZE_HW, facts, mjpeg_server, write_clip
from tests.test_cli import error_of, run

MODEL = assets.MODEL


def test_a_video_becomes_an_annotated_video_of_its_rate_and_size(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "street.mp4", frames=4, fps=12.5)
    result = run("infer", MODEL, clip, "-o", tmp_path / "out", "--smooth", 3)
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["street_overlay.mp4"]
    assert facts(tmp_path / "out" / "street_overlay.mp4") == (4, 12.5, SIZE_HW)
    assert result.stdout.splitlines()[-1].startswith("4 pictures on ONNX Runtime")


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


def test_somewhere_to_put_the_results_is_needed() -> None:
    result = run("infer", MODEL, "a.mp4")
    assert result.exit_code == 2
    assert "-o" in result.stderr


def test_show_without_windows_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cv2.getBuildInformation", lambda: "GUI:  NONE")
    assert "pip install opencv-python" in error_of(run("infer", MODEL, write_clip(tmp_path / "a.mp4", 2), "--show"))


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
            cwd=Path(__file__).parents[1],
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

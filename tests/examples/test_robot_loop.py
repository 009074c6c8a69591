from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from afformer import assets
from afformer.images import read_image
from tests.builders.example_programs import load_program, run_program
from tests.builders.videos import SIZE_HW, write_clip


def test_the_loop_decides_on_every_frame_of_a_video_and_saves_overlays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out = write_clip(tmp_path / "street.mp4", 5), tmp_path / "deep" / "out"
    run_program(monkeypatch, "robot_loop.py", assets.NAME, clip, "-o", out, "--every", 4, "--threads", 1)
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in told[:-1]] == [f"frame {number}" for number in range(5)]
    assert {line.partition(": ")[2] for line in told[:-1]} <= {"go", "stop"}
    assert sorted(path.name for path in out.iterdir()) == ["000000.jpg", "000004.jpg"]
    assert read_image(out / "000004.jpg").shape == (*SIZE_HW, 3)


def test_a_source_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"no\.mp4: cannot be opened; expected a camera's number"):
        run_program(monkeypatch, "robot_loop.py", assets.NAME, tmp_path / "no.mp4")


def test_road_counts_in_the_lower_middle_of_the_picture() -> None:
    free_road_ahead = load_program("robot_loop.py")["free_road_ahead"]
    classmap = np.zeros((6, 9), np.uint8)
    classmap[:3], classmap[3:, :3], classmap[3, 3:6] = 7, 7, 7
    assert free_road_ahead(classmap, 7) == pytest.approx(1 / 3)

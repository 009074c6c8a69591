"""What reading videos leaves of OpenCV's and FFmpeg's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.builders.videos import write_clip

ROOT = Path(__file__).parents[2]


def test_a_damaged_video_is_read_with_one_warning_and_the_environment_stays_as_it_was(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", 60)
    data = bytearray(clip.read_bytes())
    for at in range(3000, len(data) - 3000, 97):
        data[at] ^= 0xFF
    clip.write_bytes(data)
    code = (
        "import cv2, os, sys\n"
        "before, threads = dict(os.environ), cv2.getNumThreads()\n"
        "import afformer.streams.segment\n"
        "from afformer.streams.sources import open_source\n"
        "assert len(list(open_source(sys.argv[1]))) > 1\n"
        "assert (dict(os.environ), cv2.getNumThreads()) == (before, threads)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV")}
    command = [sys.executable, "-c", code, str(clip)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    (warning,) = done.stderr.splitlines()
    assert "a.mp4: is damaged; " in warning

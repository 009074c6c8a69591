"""Ctrl-C, SIGTERM and threads."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from afformer.streams.flow import segment_stream
from afformer.streams.flow_report import FlowReport
from tests.builders.flows import NumberedFrames, number_of
from tests.builders.videos import facts, write_clip

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to whole process groups")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["file", "live"])
def test_ctrl_c_leaves_a_valid_video_and_no_partial_file(tmp_path: Path, kind: str, number: signal.Signals) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from afformer.streams.flow import segment_stream\n"
        "from afformer.streams.live import LiveSource\n"
        "from afformer.streams.sinks import JsonLinesSink\n"
        "from afformer.streams.sources import open_source\n"
        "from afformer.streams.video_sink import VideoSink\n"
        "from tests.builders.videos import RENDERER, EndlessCamera, by_brightness\n"
        "clip, out, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]\n"
        "source = open_source(clip) if kind == 'file' else LiveSource(EndlessCamera, 'fake')\n"
        "sinks = [VideoSink(out / 'a.mp4', RENDERER), JsonLinesSink(out / 'a.jsonl', RENDERER.classes)]\n"
        "def segment(image, out): time.sleep(0.01); return by_brightness(image)\n"
        "report = segment_stream(segment, source, sinks, on_frame=lambda *_: print('frame', flush=True))\n"
        "print(report.ending.name, report.frames)"
    )
    clip = write_clip(tmp_path / "a.mp4", frames=350)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(clip), str(out), kind],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for _ in range(5):
        assert process.stdout.readline() == "frame\n"
    process.send_signal(number)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    ending, frames = rest.splitlines()[-1].split()
    assert ending == "INTERRUPTED"
    assert sorted(path.name for path in out.iterdir()) == ["a.jsonl", "a.mp4"]
    assert facts(out / "a.mp4")[0] == len((out / "a.jsonl").read_text().splitlines()) == int(frames) < 350


def test_signals_mean_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    segment_stream(number_of, NumberedFrames(2), [])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_another_thread_than_the_main_one_can_run_it() -> None:
    reports: queue.Queue[FlowReport] = queue.Queue()
    threading.Thread(target=lambda: reports.put(segment_stream(number_of, NumberedFrames(3), []))).start()
    assert reports.get(timeout=10).frames == 3

"""Does anything grow over long videos and long hours? Everything is real but the model.

    python benchmarks/soak.py video [--frames 10000]    a 640x480 video into a video and JSON lines: memory, threads,
                                                        handles
    python benchmarks/soak.py camera [--hours 2]        a 30 fps camera in simulated time, a model that takes three and
                                                        a bit frames: delay, dropped frames, memory

Needs Linux for its /proc.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parents[1]))

from afformer.images import ClassMap
from afformer.streams.flow import segment_stream
from afformer.streams.frames import Frame
from afformer.streams.sinks import JsonLinesSink
from afformer.streams.smoothing import Smoothing
from afformer.streams.sources import open_source
from afformer.streams.video_sink import VideoSink
from tests.builders.videos import RENDERER, SimulatedWorld, by_brightness, street

FPS = 30


class Watch:
    """Notes the process's memory at frame 100 and its maximum afterwards."""

    def __init__(self) -> None:
        self.frames, self.first, self.highest = 0, 0.0, 0.0

    def __call__(self, _frame: Frame, _classmap: ClassMap, _files: list[Path]) -> None:  # noqa: D102 - see above
        self.frames += 1
        if self.frames == 100:
            self.first = self.highest = resident_mb()
        elif self.frames % 50 == 0:
            self.highest = max(self.highest, resident_mb())

    def report(self) -> str:
        """For people."""
        return (
            f"memory {self.first:.1f} MB after 100 frames, {self.highest:.1f} MB at most later "
            f"({self.highest - self.first:+.1f})"
        )


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def holdings() -> str:
    return f"{threading.active_count()} threads, {len(list(Path('/proc/self/fd').iterdir()))} handles"


def video(frames: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "in.avi"
        writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"XVID"), FPS, (640, 480))
        pictures = [cv2.cvtColor(cv2.resize(p, (640, 480)), cv2.COLOR_RGB2BGR) for p in street(30, (360, 640))]
        for i in range(frames):
            writer.write(pictures[i % len(pictures)])
        writer.release()
        warm_up = [VideoSink(folder / "warm.mp4", RENDERER, FPS)]
        segment_stream(by_brightness, open_source(clip), warm_up, stop=stopped_soon())
        before, watch = holdings(), Watch()
        sinks = [VideoSink(folder / "out.mp4", RENDERER, FPS), JsonLinesSink(folder / "o.jsonl", RENDERER.classes)]
        report = segment_stream(by_brightness, open_source(clip), sinks, smoothing=Smoothing(3), on_frame=watch)
    print(f"{report.frames} frames of 640x480 in {report.seconds:.0f} s; {watch.report()}")
    print(f"before: {before}; after: {holdings()}")


def stopped_soon() -> threading.Event:
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    return stop


def camera(hours: float) -> None:
    frames, watch = round(hours * 3600 * FPS), Watch()
    world = SimulatedWorld(frames, FPS, cost_s=0.11)
    report = segment_stream(world.segment, world.source, [], stop=world.over, on_frame=watch)
    print(
        f"{hours:g} h at {FPS} fps in {report.seconds:.0f} s: {world.source.captured} captured, {report.frames} "
        f"segmented, {report.dropped} dropped"
    )
    print(f"oldest frame that was segmented: {report.worst_age_s * FPS:.2f} frames old at its start; {watch.report()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("video", "camera"))
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=2.0)
    arguments = parser.parse_args()
    video(arguments.frames) if arguments.what == "video" else camera(arguments.hours)


if __name__ == "__main__":
    main()

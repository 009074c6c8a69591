"""A robot's loop: always the newest camera frame, and overlays saved beside the loop.

    python examples/robot_loop.py tiny-camvid street.mp4 -o overlays       # or 0, the first camera

Three threads: one fetches frames and keeps the newest, so that no delay builds up however slow the model is; the main
one segments and decides; one draws and saves overlays, and leaves frames out when it is slower than the model.
"""

from __future__ import annotations

import argparse
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from afformer import AfformerError, assets
from afformer.images import ClassMap, write_image
from afformer.runtime import ColorOrder, Segmenter
from afformer.runtime.render import Renderer
from afformer.spec import ModelSpec

Frame = npt.NDArray[np.uint8]
"""`(H, W, 3)` BGR, as OpenCV and most camera drivers give it."""


class NewestFrames:
    """Reads a camera in a thread of its own. Iterating gives the newest frame each time, and never one twice."""

    def __init__(self, source: str) -> None:
        self._camera = cv2.VideoCapture(int(source) if source.isdigit() else source)
        if not self._camera.isOpened():
            raise SystemExit(f"{source}: cannot be opened; expected a camera's number, a video or the URL of a stream")
        # A file waits for its reader, so that none of its frames is lost; a camera does not.
        self._every_frame = Path(source).is_file()
        self._frames: queue.Queue[Frame | None] = queue.Queue(maxsize=1)
        threading.Thread(target=self._read, daemon=True).start()

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._frames.get()) is not None:
            yield frame

    def _read(self) -> None:
        while True:
            found, frame = self._camera.read()
            if not self._every_frame:
                self._drop_waiting()
            self._frames.put(np.asarray(frame, np.uint8) if found else None)
            if not found:
                return

    def _drop_waiting(self) -> None:
        try:
            self._frames.get_nowait()
        except queue.Empty:
            return  # the loop has taken it


class OverlaySaver:
    """Draws and saves overlays in a thread of its own, `000000.jpg` and so on."""

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.skipped = 0
        self._folder = folder
        self._draw = Renderer(spec.classes, spec.palette, outlines=True, names=True)  # for this thread alone
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._last: Future[None] | None = None

    def save(self, number: int, frame: Frame, classmap: ClassMap) -> None:
        """Saves the overlay of a frame, unless the last one is not saved yet. The arrays must not change afterwards.

        Raises:
            OutputError: The last one could not be written.
        """
        if self._last is not None and not self._last.done():
            self.skipped += 1
            return
        self._raise_what_went_wrong()
        self._last = self._thread.submit(self._save, number, frame, classmap)

    def close(self) -> None:
        """Waits for the last one."""
        self._thread.shutdown()
        self._raise_what_went_wrong()

    def _raise_what_went_wrong(self) -> None:
        if self._last is not None:
            self._last.result()

    def _save(self, number: int, frame: Frame, classmap: ClassMap) -> None:
        overlay = self._draw.overlay(np.ascontiguousarray(frame[..., ::-1]), classmap, follow=True)
        write_image(self._folder / f"{number:06d}.jpg", overlay)


def free_road_ahead(classmap: ClassMap, road: int) -> float:
    """Share of road in the lower middle of the picture: what this robot decides by."""
    height, width = classmap.shape
    return float((classmap[height // 2 :, width // 3 : 2 * width // 3] == road).mean())


def class_id(wanted: str, spec: ModelSpec) -> int:
    """The id of a class, whatever its capitals."""
    names = [name.lower() for name in spec.classes]
    if wanted not in names:
        raise SystemExit(f"this model knows no {wanted}, but {', '.join(names)}; decide by one of these")
    return names.index(wanted)


def drive(model: str, source: str, folder: Path, *, every: int, threads: int) -> None:
    """Segments until the source ends; saves the overlay of every `every`-th frame."""
    frames = NewestFrames(source)
    with Segmenter(assets.file_or_bundled(model), threads=threads, color_order=ColorOrder.BGR) as segment:
        road = class_id("road", segment.spec)
        saver = OverlaySaver(folder, segment.spec)
        try:
            for number, frame in enumerate(frames):
                classmap = segment(frame)
                print(f"frame {number}: {'go' if free_road_ahead(classmap, road) > 0.5 else 'stop'}", flush=True)
                if number % every == 0:
                    saver.save(number, frame, classmap)
        finally:
            saver.close()
    print(f"overlays in {folder}, {saver.skipped} skipped")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Segments a camera, decides, saves overlays.")
    parser.add_argument("model")
    parser.add_argument("source", help="a camera's number, a video, the URL of a stream")
    parser.add_argument("-o", "--out", type=Path, default=Path("overlays"))
    parser.add_argument("--every", type=int, default=10, help="save the overlay of every N-th frame")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the model; 0: the backend chooses")
    options = parser.parse_args()
    try:
        drive(options.model, options.source, options.out, every=options.every, threads=options.threads)
    except AfformerError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()

"""Videos of a crop that slides over a bundled photograph, and simulated cameras."""

from __future__ import annotations

import http.server
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from afformer import assets
from afformer.images import ClassMap, RGBImage, read_image
from afformer.runtime.render import Renderer
from afformer.streams.capture import quiet_ffmpeg
from afformer.streams.frames import Frame
from afformer.streams.live import LiveSource
from afformer.streams.video_sink import VideoSink

Picture = npt.NDArray[np.uint8]
SIZE_HW = (120, 160)
RENDERER = Renderer(("night", "dusk", "dawn", "day"), ((0, 0, 0), (90, 90, 90), (170, 170, 170), (255, 255, 255)))


def by_brightness(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
    """Segments into four levels of green."""
    return np.floor_divide(image[..., 1], 64, out=out)


def street(frames: int, size_hw: tuple[int, int] = SIZE_HW) -> list[RGBImage]:
    """A ride past the taxis: RGB."""
    photo = read_image(next(path for path in assets.pictures() if "taxis" in path.name))
    height, width = size_hw
    return [np.ascontiguousarray(photo[100 : 100 + height, 2 * i : 2 * i + width]) for i in range(frames)]


def write_clip(path: Path, frames: int = 12, fps: float = 25, size_hw: tuple[int, int] = SIZE_HW) -> Path:
    """A video file, MPEG-4 or Motion JPEG by its extension."""
    quiet_ffmpeg()  # before the first video of the process
    codec = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), codec, fps, size_hw[::-1])
    assert writer.isOpened()
    for picture in street(frames, size_hw):
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_ride(sink: VideoSink, frames: int, times: list[float] | None = None) -> list[Path]:
    """Writes the overlays of a ride and closes the sink."""
    for i, image in enumerate(street(frames)):
        sink.write(Frame(i, f"f{i}", image, time_s=times[i] if times else None), by_brightness(image))
    return sink.close()


def facts(path: Path) -> tuple[int, float, tuple[int, int]]:
    """Frames that can really be read, frames a second, and (height, width)."""
    capture = cv2.VideoCapture(str(path))
    fps, count, size = capture.get(cv2.CAP_PROP_FPS), 0, (0, 0)
    while True:
        done, picture = capture.read()
        if not done:
            return count, fps, size
        count, size = count + 1, (picture.shape[0], picture.shape[1])


class FakeCamera:
    """A camera that gives the pictures put into it, grey levels; None breaks the connection, as unplugging does."""

    def __init__(self, *levels: int | None, fps: float = 30.0) -> None:
        self.pictures: queue.Queue[int | None] = queue.Queue()
        self.unplugged = threading.Event()
        self.released = threading.Event()
        self._fps = fps
        for level in levels:
            self.pictures.put(level)

    def read(self, image: Any = None, /) -> tuple[bool, Any]:
        while not self.unplugged.is_set():
            try:
                level = self.pictures.get(timeout=0.02)
            except queue.Empty:
                continue
            return level is not None, None if level is None else np.full((4, 6, 3), level, np.uint8)
        return False, None

    def get(self, prop: int, /) -> float:
        return self._fps if prop == cv2.CAP_PROP_FPS else 0.0

    def release(self) -> None:
        self.released.set()


class EndlessCamera(FakeCamera):
    """A camera that never stops."""

    def read(self, image: Any = None, /) -> tuple[bool, Any]:
        time.sleep(0.005)
        return True, np.full((*SIZE_HW, 3), 100, np.uint8)


class SimulatedWorld:
    """A camera and a model in simulated time, on the real threads of a `LiveSource`.

    Only calls of the model let time pass: each takes `cost_s`, and the camera delivers the pictures of that time; if
    there are none, time jumps to the next one. So the result does not depend on the machine, and hours take seconds.
    """

    def __init__(self, frames: int, fps: float, cost_s: float) -> None:
        self.now = 0.0
        self.over = threading.Event()
        """Set once all frames have been delivered."""
        self._frames, self._fps, self._cost_s = frames, fps, cost_s
        self._camera, self._sent = FakeCamera(fps=fps), 0
        self.source = LiveSource(lambda: self._camera, "simulated", clock=lambda: self.now)
        self._camera.pictures.put(0)
        self._sent = 1

    def segment(self, image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        end, before = self.now + self._cost_s, self._sent
        while self._sent < self._frames and (self._sent / self._fps <= end or self._sent == before):
            self.now = self._sent / self._fps
            self._camera.pictures.put(self._sent % 256)
            self._sent += 1
            while self.source.captured < self._sent:
                time.sleep(0)
        self.now = max(end, self.now)
        if self._sent == self._frames:
            self.over.set()
            self._camera.unplugged.set()
        return np.asarray(image[..., 0], np.uint8).copy()


@contextmanager
def mjpeg_server(frames_per_connection: int) -> Iterator[str]:
    """A real HTTP stream of Motion JPEG on this machine, which breaks after some frames; gives its address."""
    pictures = [cv2.imencode(".jpg", cv2.cvtColor(p, cv2.COLOR_RGB2BGR))[1].tobytes() for p in street(8)]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            try:
                for i in range(frames_per_connection):
                    data = pictures[i % len(pictures)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    self.wfile.write(head.encode() + data + b"\r\n")
                    if stopped.wait(0.005):
                        return
            except (BrokenPipeError, ConnectionResetError):
                return  # the client has seen enough

        def log_message(self, *_: object) -> None:
            pass

    stopped = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/stream"
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()

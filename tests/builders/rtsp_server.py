"""A real RTSP stream on this machine: Motion JPEG in RTP (RFC 2435), within the RTSP connection (RFC 2326, 10.12)."""

from __future__ import annotations

import itertools
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import cv2

from afformer.images import RGBImage
from tests.builders.videos import street

FPS = 25
_JPEG_PAYLOAD = 26
_CLOCK_HZ = 90_000
_PACKET = 1400
_SDP = f"""v=0
o=- 0 0 IN IP4 127.0.0.1
s=street
t=0 0
m=video 0 RTP/AVP {_JPEG_PAYLOAD}
c=IN IP4 0.0.0.0
a=framerate:{FPS}
a=control:track0
"""


class _Jpeg(NamedTuple):
    """What travels of a picture: the receiver knows the rest of the file."""

    height: int
    width: int
    tables: bytes
    scan: bytes


def _jpeg(picture: RGBImage) -> _Jpeg:
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), sampling)[1].tobytes()
    tables, at = b"", 2
    while True:
        marker, length = struct.unpack_from(">HH", data, at)
        segment, at = data[at + 4 : at + 2 + length], at + 2 + length
        if marker == 0xFFDB:  # tables of 64 numbers, each behind a byte that says which one it is
            tables += b"".join(segment[i + 1 : i + 65] for i in range(0, len(segment), 65))
        elif marker == 0xFFDA:
            height, width = picture.shape[:2]
            return _Jpeg(height, width, tables, data[at:-2])


def _packets(jpeg: _Jpeg, number: int, sequence: Iterator[int]) -> Iterator[bytes]:
    """A picture in RTP packets, each behind the four bytes that tell it from RTSP's own answers."""
    for start in range(0, len(jpeg.scan), _PACKET):
        part = jpeg.scan[start : start + _PACKET]
        last = start + len(part) == len(jpeg.scan)
        time = number * _CLOCK_HZ // FPS % 2**32
        rtp = struct.pack(">BBHII", 0x80, _JPEG_PAYLOAD | last << 7, next(sequence) % 2**16, time, 1)
        # Offset, colours at half the resolution both ways, tables in the first packet, size in eights of pixels.
        head = struct.pack(">IBBBB", start, 1, 255, jpeg.width // 8, jpeg.height // 8)
        tables = b"" if start else struct.pack(">HH", 0, len(jpeg.tables)) + jpeg.tables
        packet = rtp + head + tables + part
        yield struct.pack(">cBH", b"$", 0, len(packet)) + packet


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the client has seen enough
            if next(self.server.connections) not in self.server.refused:
                while self._answer():
                    pass

    def _answer(self) -> bool:
        """Answers one request; whether to wait for another."""
        lines = list(itertools.takewhile(str.strip, (line.decode() for line in iter(self.rfile.readline, b""))))
        if not lines:
            return False
        method, url, _ = lines[0].split()
        number = next(line.split(":")[1].strip() for line in lines if line.lower().startswith("cseq:"))
        headers = {
            "OPTIONS": ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"],
            "DESCRIBE": [f"Content-Base: {url}/", "Content-Type: application/sdp", f"Content-Length: {len(_SDP)}"],
            "SETUP": ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"],
        }.get(method, ["Session: 1"])
        body = _SDP if method == "DESCRIBE" else ""
        self.wfile.write("\r\n".join(["RTSP/1.0 200 OK", f"CSeq: {number}", *headers, "", body]).encode())
        if method == "PLAY":
            self._play()
        return method not in ("PLAY", "TEARDOWN")

    def _play(self) -> None:
        sequence = itertools.count()
        for number, jpeg in zip(range(self.server.frames), itertools.cycle(self.server.pictures), strict=False):
            self.wfile.write(b"".join(_packets(jpeg, number, sequence)))
            if self.server.stopped.wait(0.005):
                return
        if self.server.stalls:
            self.server.stopped.wait()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, frames: int, refused: range, stalls: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.frames, self.refused, self.stalls = frames, refused, stalls
        self.pictures = [_jpeg(picture) for picture in street(8)]
        self.connections = itertools.count(1)
        self.stopped = threading.Event()


@contextmanager
def rtsp_server(frames_per_connection: int, *, refused: range = range(0), stalls: bool = False) -> Iterator[str]:
    """Serves a ride past the taxis; gives its address.

    Args:
        frames_per_connection: After so many frames the connection breaks.
        refused: Numbers of the connections, from 1, that are broken at once.
        stalls: Whether the connection, instead of breaking, stays and gives nothing more.
    """
    server = _Server(frames_per_connection, refused, stalls)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"rtsp://127.0.0.1:{server.server_address[1]}/street"
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()

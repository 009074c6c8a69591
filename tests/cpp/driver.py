"""The C++ program `afformer-driver`, seen from Python: cpp/tests/driver.cpp says what is spoken on its pipes."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from afformer.errors import AfformerError, BackendError, ImageError, SpecError

Picture = npt.NDArray[np.uint8]

_ERRORS: dict[int, type[Exception]] = {-1: RuntimeError, 1: ValueError, 2: ImageError, 3: SpecError, 4: BackendError}


class Driver:
    """A model that is open in a process of its own. Errors come as the Python package's own."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            list(map(str, command)),
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.problem: Exception | None = None
        self.description = ""
        try:
            self.description = self._answer().decode()
        except (AfformerError, ValueError, RuntimeError) as error:
            self.problem = error

    def __call__(self, picture: Picture, order: int = 0) -> Picture:
        return self.batch([picture], order)[0]

    def batch(self, pictures: Sequence[Picture], order: int = 0) -> list[Picture]:
        """Class maps of `(H, W, 3)` pictures, whose rows may lie apart."""
        request = [struct.pack("=i", len(pictures))]
        for picture in pictures:
            height, width, _ = picture.shape
            request += [struct.pack("=4i", height, width, picture.strides[0], order), _bytes(picture)]
        assert self._process.stdin
        self._process.stdin.write(b"".join(request))
        self._process.stdin.flush()
        ids = np.frombuffer(self._answer(), np.uint8)
        ends = np.cumsum([picture.shape[0] * picture.shape[1] for picture in pictures])
        return [part.reshape(picture.shape[:2]) for part, picture in zip(np.split(ids, ends), pictures, strict=False)]

    def close(self) -> str:
        """Ends the process, which must go well, and returns what it wrote to standard error."""
        if self._process.poll() is None or (self._process.stderr and not self._process.stderr.closed):
            _, self._told = self._process.communicate()
        assert self._process.returncode == 0, self._told.decode()
        return self._told.decode()

    def _answer(self) -> bytes:
        assert self._process.stdout
        head = self._process.stdout.read(8)
        if len(head) < 8:
            _, told = self._process.communicate()
            raise AssertionError(f"the driver ended with {self._process.returncode}: {told.decode()[-6000:]}")
        status, length = struct.unpack("=2i", head)
        content = self._process.stdout.read(length)
        if status:
            raise _ERRORS[status](content.decode())
        return content


def _bytes(picture: Picture) -> bytes:
    """The memory from the first to the last pixel, gaps between the rows included."""
    height, width, _ = picture.shape
    assert picture.strides[1:] == (3, 1)
    flat = np.lib.stride_tricks.as_strided(picture, ((height - 1) * picture.strides[0] + 3 * width,), (1,))
    return flat.tobytes()

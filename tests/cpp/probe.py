"""Runs the parts of the C++ library in a process that answers one request after another.

On this machine with sanitizers, and on an emulated 64-bit ARM.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afformer.images import ClassMap
from afformer.runtime.backends.base import Array, input_tensor
from afformer.runtime.choices import Fit
from afformer.runtime.preprocess import FittedPicture, Image
from afformer.spec import ColorOrder, ModelSpec

INVALID_ARGUMENT, SPEC, OUT_OF_MEMORY = 1, 3, 5
"""`ErrorCode` in errors.hpp, and what the C interface calls a `bad_alloc`."""


class RefusedError(Exception):
    """The library threw its `Error`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Probe:
    """The running process.

    Attributes:
        allocations: How often the library allocated for the last request.
        kernels: Which inner loops resize pictures: `native`, the processor's vector instructions, or `scalar`.
    """

    def __init__(self, command: Sequence[str | Path], errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.allocations = 0
        self.kernels = "native"

    def native_kernels(self) -> str:
        """The vector instructions that the library was built for."""
        return self._ask("kernels").decode()

    def spec(self, text: str) -> dict[str, Any]:
        """What `read_spec` reads, under the names in the JSON."""
        payload = text.encode()
        fields: dict[str, Any] = json.loads(self._ask(f"spec {len(payload)}", payload))
        return fields

    def prepare(self, image: Image, spec: ModelSpec, fit: Fit, order: ColorOrder = ColorOrder.RGB) -> FittedPicture:
        """What `Preprocessor` makes of a picture whose pixels lie side by side, in rows however far apart."""
        text = spec.to_json().encode()
        height, width, _ = image.shape
        stride = image.strides[0] if height > 1 else 3 * width
        rows = np.lib.stride_tricks.as_strided(image, (height - 1, stride), (stride, 1)) if height > 1 else image[:0]
        line = f"prepare {self.kernels} {fit.value} {order.value} {height} {width} {stride} {len(text)}"
        reply = self._ask(line, text, rows.tobytes(), image[-1].tobytes())
        image_h, image_w, covered_h, covered_w = np.frombuffer(reply, np.int32, 4).tolist()
        span_y, span_x = np.frombuffer(reply, np.float64, 2, offset=16).tolist()
        _, shape, dtype = input_tensor(spec)
        tensor: Array = np.frombuffer(reply, dtype, offset=32).reshape(shape[1:])
        return FittedPicture(tensor, (image_h, image_w), (covered_h, covered_w), span_y, span_x)

    def from_logits(self, logits: Array, out_hw: tuple[int, int], span: tuple[float, float] | None = None) -> ClassMap:
        """`Postprocessor::from_logits`."""
        classes, height, width = logits.shape
        span_y, span_x = span or (float(height), float(width))
        line = f"from_logits {classes} {height} {width} {span_y!r} {span_x!r} {out_hw[0]} {out_hw[1]} {logits.size}"
        reply = self._ask(line, np.ascontiguousarray(logits, np.float32).tobytes())
        return np.frombuffer(reply, np.uint8).reshape(out_hw)

    def resize(self, classmap: ClassMap, covered: tuple[int, int], out_hw: tuple[int, int]) -> ClassMap:
        """`Postprocessor::resize`."""
        words = (*classmap.shape, *covered, *out_hw)
        reply = self._ask(f"resize {' '.join(map(str, words))}", classmap.tobytes())
        return np.frombuffer(reply, np.uint8).reshape(out_hw)

    def recovers(self, first: Callable[[], Array], second: Callable[[], Array]) -> int:
        """Lets each allocation of `second` fail, after `first`; then both must give what they gave before.

        Returns:
            How many allocations there were.
        """
        expected = first(), second()
        for failing in itertools.count(1):
            for after in (0, 1):
                self._tell("fresh")
                first()
                self._tell(f"fail {failing}")
                if not self._runs_out(second):
                    return failing - 1
                np.testing.assert_array_equal((first, second)[after](), expected[after])
        raise AssertionError("unreachable")

    @staticmethod
    def _runs_out(call: Callable[[], Array]) -> bool:
        try:
            call()
        except RefusedError as error:
            return error.code == OUT_OF_MEMORY
        return False

    def close(self) -> None:
        """Ends the process, which must not have left anything behind."""
        self._process.communicate()
        assert self._process.returncode == 0, self._said()

    def _tell(self, line: str, *payload: bytes) -> None:
        try:
            self._stdin.write(b"".join([f"{line}\n".encode(), *payload]))
            self._stdin.flush()
        except BrokenPipeError:
            pytest.fail(self._said())

    def _ask(self, line: str, *payload: bytes) -> bytes:
        self._tell(line, *payload)
        words = self._stdout.readline().split()
        if len(words) != 3:
            pytest.fail(self._said())
        body = self._stdout.read(int(words[2]))
        if words[0] == b"error":
            raise RefusedError(int(words[1]), body.decode())
        self.allocations = int(words[1])
        return body

    def _said(self) -> str:
        self._process.kill()
        self._process.wait()
        return f"the probe broke off: {self._errors.read_text(errors='replace')[-6000:]}"

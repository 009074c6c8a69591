"""`cuda.bindings.runtime` without a GPU: memory is the process's own, and streams do at once what is queued."""

from __future__ import annotations

import ctypes
import enum
import functools
import itertools
import types
from collections.abc import Callable
from typing import Any

Work = Callable[[], object]


Code = enum.Enum(
    "Code",
    {
        "cudaSuccess": 0,
        "cudaErrorMemoryAllocation": 2,
        "cudaErrorStubLibrary": 34,
        "cudaErrorInsufficientDriver": 35,
        "cudaErrorNoDevice": 100,
        "cudaErrorStreamCaptureUnsupported": 900,
    },
)


class PretendCuda:
    """State of the pretended machine.

    Attributes:
        driver: CUDA version of the driver; None without one.
        gpus: Name and compute capability.
        fails: Functions that give a return code other than success.
        alive: What was made and not freed yet, by kind.
        captured: How many graphs were made.
    """

    def __init__(self, driver: tuple[int, int] | None = (12, 6), gpus: tuple[tuple[str, int, int], ...] = ()) -> None:
        self.driver = driver
        self.gpus = gpus or (("Orin", 8, 7),)
        self.fails: dict[str, Code] = {}
        self.alive: dict[str, dict[int, Any]] = {kind: {} for kind in ("memory", "pinned", "stream", "graph", "exec")}
        self.captured = 0
        self._capturing: list[Work] | None = None
        self._handles = itertools.count(1)

    def enqueue(self, work: Work) -> None:
        """Does it, or keeps it for the graph that is being captured."""
        if self._capturing is None:
            work()
        else:
            self._capturing.append(work)

    def module(self) -> Any:
        """What `from cuda.bindings import runtime` gives."""
        module: Any = types.ModuleType("cuda.bindings.runtime")
        module.cudaError_t = Code
        module.cudaStreamNonBlocking = 1
        module.cudaStreamCaptureMode = types.SimpleNamespace(cudaStreamCaptureModeThreadLocal="thread local")
        module.cudaMemcpyKind = types.SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
        module.cudaGetErrorName = lambda code: (Code.cudaSuccess, code.name.encode())
        module.cudaGetErrorString = lambda code: (Code.cudaSuccess, b"in the words of CUDA")
        module.cudaDriverGetVersion = lambda: (
            Code.cudaSuccess,
            self.driver[0] * 1000 + self.driver[1] * 10 if self.driver else 0,
        )
        for name in vars(type(self)):
            if name.startswith("_cuda"):
                setattr(module, name[1:], self._checked(name))
        return module

    def _checked(self, name: str) -> Callable[..., tuple[Any, ...]]:
        def call(*arguments: Any) -> tuple[Any, ...]:
            if self.driver is None:
                return (Code.cudaErrorInsufficientDriver, None)
            if name[1:] in self.fails:
                return (self.fails[name[1:]], None)
            answer = getattr(self, name)(*arguments)
            return (Code.cudaSuccess,) if answer is None else (Code.cudaSuccess, answer)

        return call

    def _new(self, kind: str, thing: Any, handle: int | None = None) -> int:
        handle = next(self._handles) if handle is None else handle
        self.alive[kind][handle] = thing
        return handle

    def _cudaGetDeviceCount(self) -> int:  # noqa: N802 - CUDA's names
        return len(self.gpus)

    def _cudaGetDeviceProperties(self, index: int) -> Any:  # noqa: N802
        name, major, minor = self.gpus[index]
        return types.SimpleNamespace(name=name.encode(), major=major, minor=minor)

    def _allocate(self, kind: str, size: int) -> int:
        memory = (ctypes.c_uint8 * size)()
        return self._new(kind, memory, ctypes.addressof(memory))

    def _cudaMalloc(self, size: int) -> int:  # noqa: N802
        return self._allocate("memory", size)

    def _cudaFree(self, address: int) -> None:  # noqa: N802
        del self.alive["memory"][address]

    def _cudaMallocHost(self, size: int) -> int:  # noqa: N802
        return self._allocate("pinned", size)

    def _cudaFreeHost(self, address: int) -> None:  # noqa: N802
        del self.alive["pinned"][address]

    def _cudaMemcpyAsync(self, target: int, source: int, size: int, kind: int, stream: int) -> None:  # noqa: N802
        on_gpu, pinned = (target, source) if kind == 1 else (source, target)
        assert on_gpu in self.alive["memory"]
        assert pinned in self.alive["pinned"]
        assert stream in self.alive["stream"]
        self.enqueue(functools.partial(ctypes.memmove, target, source, size))

    def _cudaStreamCreateWithFlags(self, flags: int) -> int:  # noqa: N802
        return self._new("stream", flags)

    def _cudaStreamDestroy(self, stream: int) -> None:  # noqa: N802
        del self.alive["stream"][stream]

    def _cudaStreamSynchronize(self, stream: int) -> None:  # noqa: N802
        assert stream in self.alive["stream"]
        assert self._capturing is None, "nobody may wait while a graph is captured"

    def _cudaStreamBeginCapture(self, stream: int, mode: str) -> None:  # noqa: N802
        assert (stream in self.alive["stream"], mode) == (True, "thread local")
        self._capturing = []

    def _cudaStreamEndCapture(self, stream: int) -> int:  # noqa: N802
        work, self._capturing = self._capturing, None
        return self._new("graph", work)

    def _cudaGraphInstantiate(self, graph: int, flags: int) -> int:  # noqa: N802
        self.captured += 1
        return self._new("exec", self.alive["graph"][graph])

    def _cudaGraphDestroy(self, graph: int) -> None:  # noqa: N802
        del self.alive["graph"][graph]

    def _cudaGraphLaunch(self, executable: int, stream: int) -> None:  # noqa: N802
        for work in self.alive["exec"][executable]:
            work()

    def _cudaGraphExecDestroy(self, executable: int) -> None:  # noqa: N802
        del self.alive["exec"][executable]

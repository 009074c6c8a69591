"""Runs a session of ONNX Runtime with a CUDA graph: one launch instead of one for each operator.

ONNX Runtime records the operators of the first run, and launches the record from then on. Its conditions:

1. The input and the output stay where they are in the GPU's memory. Here they are bound once.
2. Every operator runs on the GPU, with shapes that are fixed, and none controls the flow (If, Loop, Scan).
3. Runs do not overlap, and come from the thread that recorded. Here a thread of its own makes all of them.

A session with a graph may run otherwise only with `not_recorded`.
"""

from __future__ import annotations

import numpy as np

from afformer.errors import BackendError
from afformer.runtime.backends.base import Array, TensorInfo
from afformer.telemetry import without_telemetry
from afformer.wording import first_line

with without_telemetry():
    import onnxruntime as ort

MEMORY = "cuda"
"""Where input and output are."""
_REFUSED = "cannot use the graph capture feature"
_GRAPH_ID, _NONE = "gpu_graph_id", "-1"


class GraphRefusedError(BackendError):
    """The model cannot be run with a CUDA graph, but perhaps without one."""


class CudaGraph:
    """The record of one session. Any number of threads may call `run`; they take turns.

    Args:
        session: A session whose providers ask for a graph.
        source: Its input.
        output: Its output.

    Raises:
        GraphRefusedError: The record cannot be made.
    """

    def __init__(self, session: ort.InferenceSession, source: TensorInfo, output: TensorInfo) -> None:
        # Here, because Python does not let it be imported while a program ends, when models may still be opened.
        from concurrent.futures import ThreadPoolExecutor

        self._session = session
        self._thread = ThreadPoolExecutor(1, "cuda graph")
        try:
            self._thread.submit(self._record, source, output).result()
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            self._thread.shutdown()
            raise GraphRefusedError(first_line(error)) from error

    def run(self, image: Array) -> Array:
        """The model's output, copied from the GPU into new memory."""
        return self._thread.submit(self._replay, image).result()

    def close(self) -> None:
        """Ends the thread, once no call uses it."""
        self._thread.shutdown()

    def _record(self, source: TensorInfo, output: TensorInfo) -> None:
        self._input, self._output = (
            ort.OrtValue.ortvalue_from_shape_and_type(tensor.shape, tensor.dtype.type, MEMORY, 0)
            for tensor in (source, output)
        )
        self._binding = self._session.io_binding()
        self._binding.bind_ortvalue_input(source.name, self._input)
        self._binding.bind_ortvalue_output(output.name, self._output)
        self._replay(np.zeros(source.shape, source.dtype))

    def _replay(self, image: Array) -> Array:
        self._input.update_inplace(image)
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        return np.asarray(self._output.numpy())


def is_refusal(error: Exception) -> bool:
    """Whether ONNX Runtime did not open a model because it was to have a graph."""
    return _REFUSED in str(error)


def not_recorded() -> ort.RunOptions:
    """Options of a run that is neither recorded nor a replay."""
    options = ort.RunOptions()
    options.add_run_config_entry(_GRAPH_ID, _NONE)
    return options

"""A model in memory on ONNX Runtime, with any of its tensors as outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx

from afformer.errors import BackendError

Array = npt.NDArray[np.generic]

_SILENT = 4


class Session:
    """Runs a model that need not be a file.

    Args:
        model: With one input.
        tensors: Names of the tensors to compute, any in the graph; the model's outputs if left out.
        arena: Whether to keep memory between calls. Faster by half; without it, several sessions with big tensors
            share the room that one of them needs.

    Raises:
        BackendError: ONNX Runtime is missing or refuses the model.
        ValueError: There is no such tensor.
    """

    def __init__(self, model: onnx.ModelProto, tensors: Sequence[str] | None = None, *, arena: bool = True) -> None:
        try:
            import onnxruntime as ort
        except ModuleNotFoundError as error:
            raise BackendError("quantization runs the model on ONNX Runtime; run `pip install onnxruntime`") from error
        self._input = model.graph.input[0].name
        self._wanted = list(tensors) if tensors is not None else [output.name for output in model.graph.output]
        self._computed = [name for name in dict.fromkeys(self._wanted) if name != self._input]
        changed = _with_outputs(model, self._computed)
        options = ort.SessionOptions()
        options.log_severity_level = _SILENT
        options.enable_cpu_mem_arena = arena
        try:
            self._session = ort.InferenceSession(
                changed.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise BackendError(f"ONNX Runtime cannot load the model: {str(error).splitlines()[0]}") from error

    def run(self, feed: Array) -> list[Array]:
        """The wanted tensors for one input."""
        found = {self._input: feed}
        if self._computed:
            found |= zip(self._computed, self._session.run(self._computed, {self._input: feed}), strict=True)
        return [np.asarray(found[name]) for name in self._wanted]


def tensor_names(graph: onnx.GraphProto) -> set[str]:
    """The model's inputs and everything its nodes compute."""
    return {value.name for value in graph.input} | {name for node in graph.node for name in node.output if name}


def _with_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> onnx.ModelProto:
    """A copy of the model with exactly these outputs, or its own if there are none."""
    unknown = sorted(set(tensors) - tensor_names(model.graph))
    if unknown:
        raise ValueError(f"the model has no tensor {', '.join(unknown[:3])}")
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    if tensors:
        typed = {value.name: value for value in [*model.graph.output, *model.graph.value_info]}
        del changed.graph.output[:]
        changed.graph.output.extend(typed.get(name, onnx.ValueInfoProto(name=name)) for name in tensors)
    return changed

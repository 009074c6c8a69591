"""Runs a model in memory on ONNX Runtime and returns any of its tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx

from afformer.errors import BackendError
from afformer.telemetry import without_telemetry
from afformer.wording import first_line

with without_telemetry():
    import onnxruntime as ort

Array = npt.NDArray[np.generic]

_FATAL_ONLY = 4


class ActivationsRunner:
    """Computes tensors of a model that need not be a file.

    Args:
        model: A model with one input.
        tensors: Names of the tensors to compute, any in the graph; None computes the model's outputs.
        arena: Whether to keep memory between calls. That is faster by half; without it, several runners with big
            tensors share the memory that one of them needs.

    Raises:
        BackendError: ONNX Runtime cannot load the model.
        ValueError: There is no such tensor.
    """

    def __init__(self, model: onnx.ModelProto, tensors: Sequence[str] | None = None, *, arena: bool = True) -> None:
        source = model.graph.input[0]
        self._input, self._batch = source.name, source.type.tensor_type.shape.dim[0].dim_value
        self._tensors = list(tensors) if tensors is not None else [output.name for output in model.graph.output]
        self._computed = [name for name in dict.fromkeys(self._tensors) if name != self._input]
        self._session = open_session(_with_outputs(model, self._computed), arena=arena)

    def run(self, feed: Array) -> list[Array]:
        """The tensors, in the order asked for, for one input: of as many pictures as it has.

        Args:
            feed: `(n, ...)`, with n at most the model's batch. It is filled up, and the part of the tensors that comes
                of that is left out.
        """
        count = len(feed)
        full = filled(feed, self._batch)
        found = {self._input: full}
        if self._computed:
            found |= zip(self._computed, self._session.run(self._computed, {self._input: full}), strict=True)
        tensors = [np.asarray(found[name]) for name in self._tensors]
        return [values[:count] if values.ndim and len(values) == self._batch else values for values in tensors]


def filled(feed: Array, batch: int) -> Array:
    """A batch of `(batch, ...)`, filled up with the feed's own pictures."""
    return feed if len(feed) == batch else feed[np.arange(batch) % len(feed)]


def open_session(model: onnx.ModelProto, *, arena: bool = True) -> ort.InferenceSession:
    """A model in memory, opened; arguments and errors as for `ActivationsRunner`."""
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.enable_cpu_mem_arena = arena
    # Between operators ONNX Runtime's threads would spin, which takes as much time again as the work of two of them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise BackendError(f"ONNX Runtime cannot load the model: {first_line(error)}") from error


def tensor_names(graph: onnx.GraphProto) -> set[str]:
    """The model's inputs and everything its nodes compute."""
    return {value.name for value in graph.input} | {name for node in graph.node for name in node.output if name}


def _with_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> onnx.ModelProto:
    """A copy of the model with exactly these outputs, or with its own if there are none."""
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

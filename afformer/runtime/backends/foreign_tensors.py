"""The tensors of a model that somebody else exported, against the spec that the caller gives with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from afformer.errors import BackendError, SpecError
from afformer.runtime.backends.base import Array, GraphTensor, TensorInfo, input_tensor, output_tensor
from afformer.spec import ModelSpec, OutputKind

_TYPES = {OutputKind.LOGITS: ("float32", "float16"), OutputKind.CLASSMAP: ("uint8", "int8", "int16", "int32", "int64")}
Run = Callable[[Array, str], Array]
"""Runs a model on a feed; returns the output of that name."""

_REMEDY = "correct the spec, or start a new one with `afformer-cli inspect MODEL --write-spec FILE`"


def named_tensors(
    spec: ModelSpec, inputs: Sequence[GraphTensor], outputs: Sequence[GraphTensor], path: Path
) -> tuple[ModelSpec, GraphTensor]:
    """The spec with the names of the model's tensors, and the output that is meant; both fit the spec.

    Args:
        spec: What the caller says of the model.
        inputs: Its inputs.
        outputs: Its outputs. If there are several, the spec names one.
        path: The model file.

    Raises:
        SpecError: The model has other tensors than the spec says.
    """
    source = _chosen(inputs, spec.input_name, "input", path)
    if len(inputs) > 1:
        raise SpecError(f"{path}: has {len(inputs)} inputs ({_listed(inputs)}), expected one, which takes the picture")
    answer = _chosen(outputs, spec.output_name, "output", path)
    spec = dataclasses.replace(spec, input_name=source.name, output_name=answer.name)
    _, shape, dtype = input_tensor(spec)
    if source.dtype != dtype.name or not _fits(source.shape, shape):
        raise _contradiction(path, source, f"{dtype.name}{list(shape)}")
    if answer.dtype not in _TYPES[spec.output] or not any(_fits(answer.shape, form) for form in output_forms(spec)):
        raise _contradiction(path, answer, _said_output(spec))
    return spec, answer


def measured_output(spec: ModelSpec, output: GraphTensor, run: Run, path: Path) -> TensorInfo:
    """The output with the shape that it has; where the graph leaves lengths open, a run on zeros tells them.

    Args:
        spec: The spec with the tensors' names.
        output: As the graph declares it.
        run: Runs the model.
        path: The model file.

    Raises:
        SpecError: The shape is not what the spec says.
        BackendError: The model fails.
    """
    shape = measured_shape(output, input_tensor(spec), run, path)
    if shape not in output_forms(spec):
        raise _contradiction(path, output._replace(shape=shape), _said_output(spec))
    return TensorInfo(output.name, shape, np.dtype(output.dtype))


def measured_shape(output: GraphTensor, feed: TensorInfo, run: Run, path: Path) -> tuple[int, ...]:
    """The shape of the output for a feed.

    Raises:
        BackendError: The model fails.
    """
    shape = tuple(length for length in output.shape if isinstance(length, int))
    if len(shape) == len(output.shape):
        return shape
    try:
        return run(np.zeros(feed.shape, feed.dtype), output.name).shape
    except Exception as error:  # an engine's exceptions have no common base class
        said = " ".join(str(error).split())[:200]
        raise BackendError(f"{path}: fails on an input of {list(feed.shape)} ({said}); try another size") from error


def output_forms(spec: ModelSpec) -> tuple[tuple[int, ...], ...]:
    """The shapes that the output may have."""
    _, shape, _ = output_tensor(spec)
    return (shape, (shape[0], 1, *shape[1:])) if spec.output is OutputKind.CLASSMAP else (shape,)


def _chosen(tensors: Sequence[GraphTensor], name: str, kind: str, path: Path) -> GraphTensor:
    if name:
        found = next((tensor for tensor in tensors if tensor.name == name), None)
        if found is None:
            raise SpecError(f"{path}: has no {kind} '{name}', as the spec says, but {_listed(tensors)}; {_REMEDY}")
        return found
    if len(tensors) != 1:
        raise SpecError(f"{path}: has {len(tensors)} {kind}s ({_listed(tensors)}); name one as {kind}_name in the spec")
    return tensors[0]


def _fits(declared: Sequence[int | str | None], shape: Sequence[int]) -> bool:
    pairs = zip(declared, shape, strict=False)
    return len(declared) == len(shape) and all(a == b for a, b in pairs if isinstance(a, int))


def _said_output(spec: ModelSpec) -> str:
    return f"{spec.output.value} {' or '.join(str(list(form)) for form in output_forms(spec))}"


def _contradiction(path: Path, tensor: GraphTensor, said: str) -> SpecError:
    return SpecError(f"{path}: has {tensor}, but the spec says {said}; {_REMEDY}")


def _listed(tensors: Sequence[GraphTensor]) -> str:
    return ", ".join(map(str, tensors)) or "none"

"""A first spec of somebody else's ONNX model: what its graph and the caller tell, and what is assumed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from afformer import datasets
from afformer.errors import SpecError
from afformer.model.choices import AS_THE_FILE_SAYS, CheckpointOptions
from afformer.model.label_files import names_in_file
from afformer.model.labels import Found, decide_labels
from afformer.runtime.backends.base import GraphTensor, TensorInfo
from afformer.runtime.backends.foreign_tensors import measured_shape
from afformer.runtime.backends.onnxruntime import read_graph
from afformer.spec import FOREIGN, IMAGENET_MEAN, IMAGENET_STD, STRIDE, ColorOrder, InputKind, ModelSpec, OutputKind

_MOST_STRIDE = 64
_TYPES = ("float32", "float16", "uint8", "int8", "int16", "int32", "int64")
_INPUTS = "float32 [n, 3, height, width], normalised, or uint8 [n, height, width, 3]"
_OUTPUTS = "logits, float32 [n, classes, h, w], or class ids, integers [n, height, width] or [n, 1, height, width]"


@dataclasses.dataclass(frozen=True)
class Draft:
    """A spec to be read before it is trusted.

    Attributes:
        spec: The spec.
        assumed: What the graph does not say, one sentence each.
    """

    spec: ModelSpec
    assumed: tuple[str, ...]


def draft_spec(
    model: Path, *, input_hw: tuple[int, int] | None = None, said: CheckpointOptions = AS_THE_FILE_SAYS
) -> Draft:
    """Drafts the spec of an ONNX model without one.

    Args:
        model: The model file.
        input_hw: Its input size, where the graph leaves it open.
        said: Its normalisation, classes and colours.

    Raises:
        AfformerError: It is not an ONNX model, or not one that segments pictures; it leaves its size open and
            `input_hw` is None; or it does not tell the number of its classes and `said` does not, either.
    """
    graph = read_graph(model)
    source, kind = _input(graph.inputs, input_hw, model)
    output, several = _output(graph.outputs, model)
    shape = measured_shape(output, source, graph.run, model)
    hw = source.shape[2:] if kind is InputKind.FLOAT32 else source.shape[1:3]
    answer, stride, count = _answer(output.dtype, shape, (hw[0], hw[1]), said, model)
    labels = decide_labels(Found(None, None, unfit="an ONNX graph has none"), count, said, model)
    spec = ModelSpec(
        FOREIGN,
        (hw[0], hw[1]),
        labels.classes,
        labels.palette,
        labels.dataset,
        source.shape[0],
        kind,
        answer,
        mean=said.mean or IMAGENET_MEAN,
        std=said.std or IMAGENET_STD,
        color_order=said.channel_order or ColorOrder.RGB,
        stride=stride,
        input_name=source.name,
        output_name=output.name,
    )
    assumed = (*several, *_normalisation(spec, said), f"class names: {labels.origin}")
    return Draft(spec, assumed)


def _input(
    inputs: Sequence[GraphTensor], input_hw: tuple[int, int] | None, model: Path
) -> tuple[TensorInfo, InputKind]:
    if len(inputs) != 1:
        raise SpecError(f"{model}: has {len(inputs)} inputs, expected one, which takes the picture: {_INPUTS}")
    name, dtype, shape = inputs[0]
    kind = {"float32": InputKind.FLOAT32, "uint8": InputKind.UINT8}.get(dtype)
    channels = shape[1 if kind is InputKind.FLOAT32 else 3] if len(shape) == 4 else None
    if kind is None or len(shape) != 4 or (isinstance(channels, int) and channels != 3):
        raise SpecError(f"{model}: takes {inputs[0]}, expected {_INPUTS}; change the model, or export it so")
    declared = shape[2:] if kind is InputKind.FLOAT32 else shape[1:3]
    hw = [found if isinstance(found, int) else own for found, own in zip(declared, input_hw or (0, 0), strict=True)]
    if 0 in hw:
        raise SpecError(f"{model}: leaves its input size open; say which one to run it at in `input_hw`")
    if input_hw and tuple(hw) != input_hw:
        raise SpecError(f"{model}: takes pictures of {hw[0]}x{hw[1]} only; leave `input_hw` out")
    batch = shape[0] if isinstance(shape[0], int) else 1
    form = (batch, 3, *hw) if kind is InputKind.FLOAT32 else (batch, *hw, 3)
    return TensorInfo(name, form, np.dtype(dtype)), kind


def _output(outputs: Sequence[GraphTensor], model: Path) -> tuple[GraphTensor, tuple[str, ...]]:
    """The output that is meant, and what is assumed about it: the first that may be one, rather logits than ids."""
    fitting = [output for output in outputs if len(output.shape) in (3, 4) and output.dtype in _TYPES]
    if not fitting:
        raise SpecError(f"{model}: gives {', '.join(map(str, outputs)) or 'nothing'}, expected {_OUTPUTS}")
    fitting.sort(key=lambda output: not output.dtype.startswith("float"))
    others = ", ".join(str(output) for output in outputs if output is not fitting[0])
    return fitting[0], (f"output: '{fitting[0].name}', the first that fits; others are {others}",) if others else ()


def _answer(
    dtype: str, shape: Sequence[int], hw: tuple[int, int], said: CheckpointOptions, model: Path
) -> tuple[OutputKind, int, int]:
    """What the output is, its stride, and the number of classes."""
    if not dtype.startswith("float"):
        if tuple(shape[-2:]) != hw or (len(shape) == 4 and shape[1] != 1):
            raise SpecError(
                f"{model}: gives class ids {list(shape)} for pictures of {hw[0]}x{hw[1]}, expected that size"
            )
        return OutputKind.CLASSMAP, STRIDE, _count_that_is_said(said, model)
    stride = next((s for s in range(1, _MOST_STRIDE + 1) if tuple(-(-n // s) for n in hw) == tuple(shape[-2:])), 0)
    if len(shape) != 4 or not stride:
        raise SpecError(f"{model}: gives {dtype} {list(shape)} for pictures of {hw[0]}x{hw[1]}, expected {_OUTPUTS}")
    if shape[1] < 2:
        raise SpecError(f"{model}: gives one channel, expected the logits of two classes or more, or class ids")
    return OutputKind.LOGITS, stride, shape[1]


def _count_that_is_said(said: CheckpointOptions, model: Path) -> int:
    if said.dataset:
        return datasets.by_name(said.dataset).num_classes
    if said.classes:
        return len(names_in_file(said.classes)[0])
    raise SpecError(f"{model}: gives class ids and does not tell how many classes there are; name them in `classes`")


def _normalisation(spec: ModelSpec, said: CheckpointOptions) -> tuple[str, ...]:
    missing = [name for name in ("mean", "std", "channel_order") if getattr(said, name) is None]
    if not missing:
        return ()
    options = ", ".join(f"`{name}`" for name in missing)
    return (
        f"normalisation: assumed mean {spec.mean} and std {spec.std} on 0..255, channels in {spec.color_order.name}; "
        f"no graph tells them, so say what training had: {options}",
    )

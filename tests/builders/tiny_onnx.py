"""Real ONNX models of a few hundred bytes that keep the spec's promises: the class is the level of brightness."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from afformer.spec import METADATA_KEY, InputKind, ModelSpec, OutputKind

GREYS = ((0, 0, 0), (90, 90, 90), (170, 170, 170), (255, 255, 255))
SPEC = ModelSpec(variant="tiny", input_hw=(64, 96), classes=("night", "dusk", "dawn", "day"), palette=GREYS)


def write_tiny_onnx(path: Path, spec: ModelSpec = SPEC, stamped: ModelSpec | None = None) -> Path:
    """Writes a model that does what `spec` says, with `stamped` (or the spec itself) in its metadata."""
    onnx = pytest.importorskip("onnx")
    model = onnx.parser.parse_model(_text(spec))
    for node in model.graph.node:
        node.name = node.output[0]
    model.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in _constants(spec).items())
    onnx.checker.check_model(model, full_check=True)
    onnx.helper.set_model_props(model, {METADATA_KEY: (stamped or spec).to_json()})
    onnx.save(model, path)
    return path


def without_metadata(path: Path) -> Path:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    return path


def variants() -> dict[str, ModelSpec]:
    """The kinds of models that exist."""
    return {
        "float input, logits": SPEC,
        "odd size": dataclasses.replace(SPEC, input_hw=(67, 85)),
        "batch of three": dataclasses.replace(SPEC, batch=3),
        "bytes in": dataclasses.replace(SPEC, input=InputKind.UINT8),
        "class map out": dataclasses.replace(SPEC, output=OutputKind.CLASSMAP),
        "bytes in, class map out": dataclasses.replace(SPEC, input=InputKind.UINT8, output=OutputKind.CLASSMAP),
    }


def _text(spec: ModelSpec) -> str:
    n, classes, (h, w), (lh, lw) = spec.batch, spec.num_classes, spec.input_hw, spec.logits_hw
    bytes_in, map_out = spec.input is InputKind.UINT8, spec.output is OutputKind.CLASSMAP
    head = f"uint8[{n}, {h}, {w}, 3] image" if bytes_in else f"float[{n}, 3, {h}, {w}] image"
    tail = f"uint8[{n}, {h}, {w}] classmap" if map_out else f"float[{n}, {classes}, {lh}, {lw}] logits"
    first = """
        pixels = Cast <to = 1> (image)
        centred = Sub (pixels, mean)
        scaled = Div (centred, std)
        x = Transpose <perm = [0, 3, 1, 2]> (scaled)"""
    last = """
        full = Resize <mode = "linear"> (cells, , , sizes)
        ids = ArgMax <axis = 1, keepdims = 0> (full)
        classmap = Cast <to = 2> (ids)"""
    return f"""
        <ir_version: 9, opset_import: ["" : 18]>
        tiny ({head}) => ({tail}) {{{first if bytes_in else "x = Identity (image)"}
            pooled = AveragePool <kernel_shape = [8, 8], strides = [8, 8], ceil_mode = 1> (x)
            cells = Conv (pooled, weight, bias){last if map_out else "logits = Identity (cells)"}
        }}"""


def _constants(spec: ModelSpec) -> dict[str, npt.NDArray[np.generic]]:
    """The level nearest to brightness b is the one with the largest 2 * b * level - level^2, which is linear in b."""
    level = np.linspace(0, 1, spec.num_classes)
    weight = 2 * level[:, None] * np.array(spec.std) / 255 / 3
    bias = 2 * level * np.mean(spec.mean) / 255 - level**2
    constants = {"weight": weight[:, :, None, None].astype(np.float32), "bias": bias.astype(np.float32)}
    if spec.input is InputKind.UINT8:
        constants |= {"mean": np.array(spec.mean, np.float32), "std": np.array(spec.std, np.float32)}
    if spec.output is OutputKind.CLASSMAP:
        constants["sizes"] = np.array((spec.batch, spec.num_classes, *spec.input_hw), np.int64)
    return constants

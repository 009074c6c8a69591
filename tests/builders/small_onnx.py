"""A float graph of a few nodes, what rounding does to it, and pictures."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import helper, numpy_helper

from afformer.quantize.grid import Grid
from afformer.quantize.ranges import Ranges

CHAIN = """
    <ir_version: 9, opset_import: ["" : 18]>
    chain (float[BATCH, 3, 4, 4] image) => (float[BATCH, 3, 4, 4] logits)
    <float two = {2}, float one = {1}> {
        doubled = Mul (image, two)
        shifted = Add (doubled, one)
        logits = Relu (shifted)
    }"""


def chain(batch: int = 1) -> onnx.ModelProto:
    """`relu(2 x + 1)`, with names for what is between."""
    return onnx.parser.parse_model(CHAIN.replace("BATCH", str(batch)))


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (64, 96), first: int = 0) -> list[Path]:
    """Different pictures of all brightnesses: a slope from dark to light, and noise."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed in range(first, first + count):
        random = np.random.default_rng(seed)
        slope = np.linspace(random.uniform(0, 60), random.uniform(180, 255), size[1])
        pixels = np.clip(slope[None, :, None] + random.normal(0, 12, (*size, 3)), 0, 255)
        paths.append(folder / f"{seed:03}.png")
        cv2.imwrite(str(paths[-1]), pixels.astype(np.uint8))
    return paths


def rounded(model: onnx.ModelProto, tensors: Collection[str], ranges: Ranges, coarseness: float = 1) -> onnx.ModelProto:
    """The model with its nodes reading some tensors rounded to 8 bits; a coarseness of 2 makes that 7 bits."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    nodes = []
    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.input[0] in tensors:
            name, kept = node.input[0], ranges[node.input[0]]
            grid = Grid.over(kept.low * coarseness, kept.high * coarseness)
            constants = {f"{name}/scale": np.float32(grid.scale), f"{name}/zero": np.uint8(grid.zero_point)}
            changed.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
            nodes.append(helper.make_node("QuantizeLinear", [name, *constants], [f"{name}/integer"]))
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}/integer", *constants], [f"{name}/back"]))
            copy.input[0] = f"{name}/back"
        nodes.append(copy)
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed

"""How much noise each unit of the graph adds, measured with that unit alone in integers and all others in float.

Signal-to-noise ratio of the logits `y` of the float model and `z` of the candidate, over all cells of some pictures:

    SQNR = 10 log10( sum y^2 / sum (z - y)^2 )   decibels

Noise of independent units adds up, so the units that add most of it are the first to look at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from afformer.quantize.activations import ActivationsRunner, tensor_names

Array = npt.NDArray[np.generic]


def unit_sqnr(
    units: Sequence[str],
    build: Callable[[frozenset[str]], onnx.ModelProto],
    reference: onnx.ModelProto,
    feeds: Sequence[Array],
    seen: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """SQNR in decibels by unit; inf for a unit that changes nothing.

    Args:
        units: Names of all units.
        build: Makes the model in which the given units stay in float.
        reference: The float model.
        feeds: Some input tensors.
        seen: Told after each unit how many are done, of how many.
    """
    tensor = logits_of(reference.graph)
    runner = ActivationsRunner(reference, [tensor])
    expected = [np.array(runner.run(feed)[0], np.float32) for feed in feeds]
    found: dict[str, float] = {}
    for done, unit in enumerate(units, 1):
        alone = build(frozenset(units) - {unit})
        same = tensor if tensor in tensor_names(alone.graph) else logits_of(alone.graph)
        found[unit] = _sqnr(ActivationsRunner(alone, [same]), expected, feeds)
        seen(done, len(units))
    return found


def sqnr(signal: float, noise: float) -> float:
    """Ratio of two sums of squares in decibels."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def logits_of(graph: onnx.GraphProto) -> str:
    """The tensor whose noise is measured: the output, or the input of an ArgMax, which would hide small noise."""
    return str(next((node.input[0] for node in graph.node if node.op_type == "ArgMax"), graph.output[0].name))


def _sqnr(runner: ActivationsRunner, expected: Sequence[npt.NDArray[np.float32]], feeds: Sequence[Array]) -> float:
    signal = noise = 0.0
    for reference, feed in zip(expected, feeds, strict=True):
        other = np.asarray(runner.run(feed)[0], np.float32)
        signal += float(np.square(reference, dtype=np.float64).sum())
        noise += float(np.square(other - reference, dtype=np.float64).sum())
    return sqnr(signal, noise)

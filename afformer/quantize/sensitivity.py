"""How much noise each unit of the graph brings, measured with this unit alone in integers and all others in float.

Signal-to-noise ratio of the logits `y` of the float model and `z` of the candidate, over all cells of some pictures:

    SQNR = 10 log10( sum y^2 / sum (z - y)^2 )   decibels

Noise of independent units adds up, so the units that bring most of it are those to look at first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from afformer.quantize.session import Session, tensor_names

Array = npt.NDArray[np.generic]


def unit_sqnr(
    units: Sequence[str],
    lower: Callable[[frozenset[str]], onnx.ModelProto],
    reference: onnx.ModelProto,
    feeds: Sequence[Array],
    seen: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """SQNR in decibels by unit; inf for a unit that changes nothing.

    Args:
        units: Names of all units.
        lower: Makes the model in which the given units stay in float.
        reference: The float model.
        feeds: Some input tensors.
        seen: Told after each unit how many are done, of how many.
    """
    tensor = logits_of(reference.graph)
    session = Session(reference, [tensor])
    expected = [np.array(session.run(feed)[0], np.float32) for feed in feeds]
    found: dict[str, float] = {}
    for done, unit in enumerate(units, 1):
        alone = lower(frozenset(units) - {unit})
        found[unit] = _sqnr(Session(alone, [_same(alone.graph, tensor)]), expected, feeds)
        seen(done, len(units))
    return found


def sqnr(signal: float, noise: float) -> float:
    """Decibels of a sum of squares over another one."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def logits_of(graph: onnx.GraphProto) -> str:
    """The tensor that says how good the model's answer is: the output, or before an ArgMax, which hides small noise."""
    return str(next((node.input[0] for node in graph.node if node.op_type == "ArgMax"), graph.output[0].name))


def _same(graph: onnx.GraphProto, tensor: str) -> str:
    return tensor if tensor in tensor_names(graph) else logits_of(graph)


def _sqnr(session: Session, expected: Sequence[npt.NDArray[np.float32]], feeds: Sequence[Array]) -> float:
    signal = noise = 0.0
    for reference, feed in zip(expected, feeds, strict=True):
        other = np.asarray(session.run(feed)[0], np.float32)
        signal += float(np.square(reference, dtype=np.float64).sum())
        noise += float(np.square(other - reference, dtype=np.float64).sum())
    return sqnr(signal, noise)

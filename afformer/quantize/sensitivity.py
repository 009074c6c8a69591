"""How much noise each unit of the graph adds, measured with that unit alone in integers and all others in float.

Signal-to-noise ratio of the logits `y` of the float model and `z` of the candidate, over all cells of some pictures:

    SQNR = 10 log10( sum y^2 / sum (z - y)^2 )   decibels

Noise of independent units adds up, so the units that add most of it are the first to look at.

Making and opening a model for each unit takes three times as long as running it twice. So units that follow one another
share a graph with switches (`switched.py`), which starts where the first of them does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from afformer.quantize.activations import ActivationsRunner, filled, open_session, tensor_names
from afformer.quantize.islands import Build, Island, islands_of
from afformer.quantize.lowering import Unit
from afformer.quantize.lowering.graph import Graph
from afformer.quantize.switched import ACTIVE, NOISY, with_switches
from afformer.runtime.batches import groups

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]

_TOGETHER = 12
"""Units in one graph. With fewer, opening graphs takes longer; with more, less of each graph can be cut off."""


def unit_sqnr(
    units: Sequence[Unit],
    build: Build,
    reference: onnx.ModelProto,
    feeds: Sequence[Array],
    seen: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """SQNR in decibels by unit, in their order; inf for a unit that changes nothing.

    Args:
        units: All units, in execution order.
        build: Makes the model in which the units of the given names stay in float.
        reference: The float model that is lowered.
        feeds: Some input tensors.
        seen: Told from time to time how many are done, of how many.
    """
    noises = _Noises(build(frozenset(unit.name for unit in units)), reference, feeds)
    islands = islands_of(units, build, reference, noises.floats.model)
    found = dict.fromkeys((unit.name for unit in units), noises.of_floats())
    changing = [unit.name for unit in units if islands[unit.name].nodes]
    seen(len(units) - len(changing), len(units))
    for done, group in enumerate(groups(changing, _TOGETHER), 1):
        found |= zip(group, noises.of([islands[name] for name in group]), strict=True)
        seen(len(units) - max(0, len(changing) - done * _TOGETHER), len(units))
    return found


def sqnr(signal: float, noise: float) -> float:
    """Ratio of two sums of squares in decibels."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def logits_of(graph: onnx.GraphProto) -> str:
    """The tensor whose noise is measured: the output, or the input of an ArgMax, which would hide small noise."""
    return str(next((node.input[0] for node in graph.node if node.op_type == "ArgMax"), graph.output[0].name))


class _Noises:
    """Measures what units add to the noise of a model with all of them in float.

    Attributes:
        floats: That model.
    """

    def __init__(self, floats: onnx.ModelProto, reference: onnx.ModelProto, feeds: Sequence[Array]) -> None:
        self.floats, self._feeds = Graph(floats), feeds
        tensor = logits_of(reference.graph)
        self._logits = tensor if tensor in tensor_names(floats.graph) else logits_of(floats.graph)
        runner = ActivationsRunner(reference, [tensor])
        self._expected = [np.array(runner.run(feed)[0], np.float32) for feed in feeds]
        self._batch = floats.graph.input[0].type.tensor_type.shape.dim[0].dim_value
        typed = onnx.shape_inference.infer_shapes(floats, strict_mode=True, data_prop=True).graph
        self._types = {value.name: value for value in [*typed.input, *typed.value_info, *typed.output]}

    def of_floats(self) -> float:
        """The SQNR with all units in float: their graph may be rounded elsewhere."""
        runner = ActivationsRunner(self.floats.model, [self._logits])
        return self._sqnr([np.asarray(runner.run(feed)[0], np.float32) for feed in self._feeds])

    def of(self, islands: Sequence[Island]) -> list[float]:
        """The SQNR with each island alone."""
        switched = with_switches(self.floats, self._types, islands, self._logits)
        session = open_session(switched.model)
        before = ActivationsRunner(self.floats.model, list(switched.inputs.values()))
        found: list[list[Floats]] = [[] for _ in islands]
        for feed in self._feeds:
            inputs = dict(zip(switched.inputs, before.run(filled(feed, self._batch)), strict=True))
            for number, logits in enumerate(found):
                noisy = session.run([NOISY], {ACTIVE: np.array(number), **inputs})[0]
                logits.append(np.asarray(noisy[: len(feed)], np.float32))
        return [self._sqnr(logits) for logits in found]

    def _sqnr(self, found: Sequence[Floats]) -> float:
        pairs = list(zip(self._expected, found, strict=True))
        signal = sum(float(np.square(expected, dtype=np.float64).sum()) for expected, _ in pairs)
        noise = sum(float(np.square(other - expected, dtype=np.float64).sum()) for expected, other in pairs)
        return sqnr(signal, noise)

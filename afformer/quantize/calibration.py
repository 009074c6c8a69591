"""Runs the float model on pictures and observes its tensors.

Tensors are fetched in groups of at most `FETCH_BYTES`, observed and dropped, so memory depends neither on the number of
pictures nor on the size of the graph. (Reducing them to their extremes inside the graph was tried: ONNX Runtime's
reductions over all axes take twice as long as fetching everything.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from afformer.errors import QuantizeError
from afformer.quantize.activations import ActivationsRunner
from afformer.quantize.histogram import Histogram
from afformer.quantize.observers import Extremes, Method, range_of
from afformer.quantize.ranges import Ranges

Array = npt.NDArray[np.generic]
Observer = Extremes | Histogram

FETCH_BYTES = 1 << 28
"""Size of the tensors that one call returns, at most."""


def calibrate(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    feeds: Iterable[Array],
    method: Method = Method.PERCENTILE,
    *,
    symmetric: bool = False,
) -> Ranges:
    """Finds the range of every tensor, in the order given.

    Args:
        model: A float model with one input.
        tensors: Names of its float tensors; input and outputs may be among them.
        feeds: Input tensors as the model wants them; taken one by one, none is kept.
        method: How ranges are chosen.
        symmetric: Whether the target's zero point is 0.

    Raises:
        QuantizeError: There are no feeds, or a tensor has values that are not finite.
        ValueError: There is no such tensor.
    """
    if method.needs_values:
        histograms = {name: Histogram() for name in tensors}
        _observe(model, histograms, feeds)
        return {name: range_of(histogram, method, symmetric=symmetric) for name, histogram in histograms.items()}
    extremes = {name: Extremes() for name in tensors}
    _observe(model, extremes, feeds)
    return {name: found.range(method) for name, found in extremes.items()}


def distributions(model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Array]) -> dict[str, Histogram]:
    """The histogram of every tensor over all feeds; arguments and errors as for `calibrate`."""
    histograms = {name: Histogram() for name in tensors}
    _observe(model, histograms, feeds)
    return histograms


def _observe(model: onnx.ModelProto, observers: Mapping[str, Observer], feeds: Iterable[Array]) -> None:
    groups = _groups(model, list(observers))
    runners = [(ActivationsRunner(model, group, arena=len(groups) == 1), group) for group in groups]
    calls = 0
    for calls, feed in enumerate(feeds, 1):
        for runner, group in runners:
            for name, values in zip(group, runner.run(feed), strict=True):
                try:
                    for part in _pictures(values, len(feed)) if isinstance(observers[name], Extremes) else [values]:
                        observers[name].add(np.asarray(part, np.float32))
                except ValueError as error:
                    raise QuantizeError(
                        f"tensor '{name}', feed {calls}: {error}; the float model is broken there, export it again"
                    ) from error
    if not calls:
        raise QuantizeError("calibration got no pictures; expected 16 or more like those the model will see")


def _pictures(values: Array, count: int) -> Iterable[Array]:
    """The tensor of each picture of a batch; all at once if the tensor has another first axis."""
    return values if values.ndim and len(values) == count else [values]


def _groups(model: onnx.ModelProto, tensors: Sequence[str]) -> list[list[str]]:
    """Consecutive tensors of at most `FETCH_BYTES` together; a larger one is alone in its group."""
    typed = onnx.shape_inference.infer_shapes(model).graph
    sizes = {value.name: _bytes(value) for value in [*typed.input, *typed.value_info, *typed.output]}
    groups: list[list[str]] = []
    room = 0
    for name in tensors:
        size = sizes.get(name, FETCH_BYTES)
        if size > room or not groups:
            groups.append([])
            room = FETCH_BYTES
        groups[-1].append(name)
        room -= size
    return groups


def _bytes(value: onnx.ValueInfoProto) -> int:
    shape = [max(1, dim.dim_value) for dim in value.type.tensor_type.shape.dim]
    return 4 * int(math.prod(shape))

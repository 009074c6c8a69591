"""Runs a float model over pictures and observes its tensors.

The tensors come out of sessions that give at most `FETCH_BYTES` each, are looked at and dropped: memory depends neither
on the number of pictures nor on the size of the graph. (Reducing them to their extremes inside the graph was tried:
ONNX Runtime's reductions over all axes take twice as long as fetching everything.)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from afformer.errors import QuantizeError
from afformer.quantize.histogram import Histogram
from afformer.quantize.observers import Extremes, Method, range_of
from afformer.quantize.ranges import Ranges
from afformer.quantize.session import Session

Array = npt.NDArray[np.generic]
Observer = Extremes | Histogram

FETCH_BYTES = 1 << 28
"""Tensors of at most this size together are taken out of one session."""


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What was observed.

    Attributes:
        ranges: One a tensor, in the order they were asked for.
        calls: How many feeds were seen.
    """

    ranges: Ranges
    calls: int


def calibrate(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    feeds: Iterable[Array],
    method: Method = Method.AVERAGE,
    *,
    symmetric: bool = False,
    seen: Callable[[int], None] = lambda count: None,
) -> Calibration:
    """Finds the range of every tensor.

    Args:
        model: A float model with one input.
        tensors: Names of float tensors of it, its input and outputs among them.
        feeds: Input tensors, already prepared as the model wants them; taken one by one, none is kept.
        method: How ranges are chosen.
        symmetric: Whether the target's zero point is 0.
        seen: Told after each feed how many there have been.

    Raises:
        QuantizeError: There are no feeds, or a tensor gets values that are not finite.
        ValueError: There is no such tensor.
    """
    if method.needs_values:
        histograms = {name: Histogram() for name in tensors}
        calls = _observe(model, histograms, feeds, seen)
        ranges = {name: range_of(histogram, method, symmetric=symmetric) for name, histogram in histograms.items()}
    else:
        extremes = {name: Extremes() for name in tensors}
        calls = _observe(model, extremes, feeds, seen)
        ranges = {name: found.range(method) for name, found in extremes.items()}
    return Calibration(ranges, calls)


def distributions(model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Array]) -> dict[str, Histogram]:
    """The histogram of every tensor over all feeds; arguments and errors as those of `calibrate`."""
    histograms = {name: Histogram() for name in tensors}
    _observe(model, histograms, feeds, lambda count: None)
    return histograms


def _observe(
    model: onnx.ModelProto, observers: Mapping[str, Observer], feeds: Iterable[Array], seen: Callable[[int], None]
) -> int:
    groups = _groups(model, list(observers))
    sessions = [(Session(model, group, arena=len(groups) == 1), group) for group in groups]
    calls = 0
    for calls, feed in enumerate(feeds, 1):
        for session, group in sessions:
            for name, values in zip(group, session.run(feed), strict=True):
                try:
                    observers[name].add(np.asarray(values, np.float32))
                except ValueError as error:
                    raise QuantizeError(
                        f"tensor '{name}', feed {calls}: {error}; the float model is broken there, export it again"
                    ) from error
        seen(calls)
    if not calls:
        raise QuantizeError("calibration got no pictures; expected 16 or more like those the model will see")
    return calls


def _groups(model: onnx.ModelProto, tensors: Sequence[str]) -> list[list[str]]:
    """Consecutive tensors of at most `FETCH_BYTES` together; a larger one stands alone."""
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

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from afformer.errors import QuantizeError
from afformer.quantize import calibration
from afformer.quantize.activations import ActivationsRunner
from afformer.quantize.calibration import calibrate, distributions
from afformer.quantize.correction import channel_means
from afformer.quantize.observers import Method
from afformer.quantize.ranges import Range
from tests.builders.graphs import parse
from tests.builders.small_onnx import chain

TENSORS = ["image", "doubled", "shifted", "logits"]


def feeds(count: int = 3) -> list[npt.NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return [random.standard_normal((1, 3, 4, 4), np.float32) for _ in range(count)]


@pytest.mark.parametrize("method", list(Method))
def test_every_method_finds_a_range_for_inputs_inner_tensors_and_outputs_in_the_order_asked_for(method: Method) -> None:
    found = calibrate(chain(), TENSORS, feeds(), method)
    assert list(found) == TENSORS


def test_ranges_are_those_of_the_values_that_the_graph_computes() -> None:
    everything = np.concatenate(feeds())
    ranges = calibrate(chain(), TENSORS, feeds(), Method.MINMAX)
    assert ranges["image"] == Range(float(everything.min()), float(everything.max()))
    assert ranges["shifted"].low == pytest.approx(2 * everything.min() + 1, rel=1e-6)
    assert ranges["logits"].low == 0


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("batch", [2, 3, 7])
def test_ranges_do_not_depend_on_how_many_pictures_a_call_takes(method: Method, batch: int) -> None:
    pictures = np.concatenate(feeds(5)) * np.arange(1, 6, dtype=np.float32)[:, None, None, None]
    grouped = [pictures[start : start + batch] for start in range(0, 5, batch)]
    single = calibrate(chain(), TENSORS, [picture[None] for picture in pictures], method)
    assert calibrate(chain(batch), TENSORS, grouped, method) == single


def test_means_of_channels_do_not_depend_on_it_either() -> None:
    pictures = np.random.default_rng(1).normal(np.arange(5)[:, None, None, None], 1, (5, 3, 4, 4)).astype(np.float32)
    text = "g (float[{0}, 3, 4, 4] x) => (float[{0}, 2, 4, 4] y) {{ y = Conv <kernel_shape = [1, 1]> (x, w) }}"
    single, double = (parse(text.format(batch), w=(2, 3, 1, 1)) for batch in (1, 2))
    expected = channel_means(single, [picture[None] for picture in pictures])["x"]
    np.testing.assert_allclose(channel_means(double, [pictures[:2], pictures[2:4], pictures[4:]])["x"], expected)


def test_average_is_over_feeds() -> None:
    ranges = calibrate(chain(), ["image"], feeds(), Method.AVERAGE)
    assert ranges["image"].high == pytest.approx(np.mean([feed.max() for feed in feeds()]), rel=1e-6)


def test_feeds_are_taken_one_by_one_and_none_is_kept() -> None:
    alive: list[weakref.ref[object]] = []

    def lazily() -> Iterator[npt.NDArray[np.float32]]:
        for feed in feeds():
            assert all(earlier() is None for earlier in alive[:-1])
            copy = feed.copy()
            alive.append(weakref.ref(copy))
            yield copy
            del copy

    calibrate(chain(), TENSORS[1:], lazily(), Method.MSE)
    assert len(alive) == 3


def test_tensors_too_large_for_one_session_give_the_same_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    together = calibrate(chain(), TENSORS, feeds(), Method.MSE)
    opened: list[list[str]] = []

    def opening(model: onnx.ModelProto, tensors: list[str], *, arena: bool) -> ActivationsRunner:
        opened.append(tensors)
        return ActivationsRunner(model, tensors, arena=arena)

    monkeypatch.setattr(calibration, "ActivationsRunner", opening)
    monkeypatch.setattr(calibration, "FETCH_BYTES", 2 * 4 * 48)
    assert calibrate(chain(), TENSORS, feeds(), Method.MSE) == together
    assert opened == [["image", "doubled"], ["shifted", "logits"]]


def test_the_model_is_left_as_it_was() -> None:
    model = chain()
    before = model.SerializeToString()
    calibrate(model, TENSORS, feeds(), Method.AVERAGE)
    assert model.SerializeToString() == before


def test_distributions_hold_every_value() -> None:
    found = distributions(chain(), TENSORS, feeds())
    assert {name: histogram.total for name, histogram in found.items()} == dict.fromkeys(TENSORS, 3 * 48)


@pytest.mark.parametrize("method", [Method.AVERAGE, Method.MSE])
def test_values_that_are_not_finite_name_the_tensor(method: Method) -> None:
    bad = np.full((1, 3, 4, 4), 3e38, np.float32)
    with pytest.raises(QuantizeError, match="'doubled', feed 1: values must be finite"):
        calibrate(chain(), ["image", "doubled"], [bad], method)


def test_no_feeds_are_refused() -> None:
    with pytest.raises(QuantizeError, match="got no pictures"):
        calibrate(chain(), TENSORS, [])


def test_a_tensor_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="no tensor nonsense"):
        calibrate(chain(), ["image", "nonsense"], feeds())


def test_a_tensor_of_unknown_size_gets_a_session_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", lambda model: onnx.ModelProto())
    assert calibrate(chain(), TENSORS, feeds(), Method.MINMAX)["logits"].low == 0

"""What every backend must do, whichever library is behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from afformer import assets
from afformer.errors import AfformerError, BackendError
from afformer.images import ClassMap
from afformer.runtime import Segmenter
from afformer.runtime.backends.base import Array, Backend, input_tensor, output_tensor
from afformer.runtime.backends.registry import open_backend
from afformer.spec import InputKind, ModelSpec
from afformer.tensorrt.build_engine import build_engine
from tests.builders.fake_backend import FakeBackend
from tests.builders.tiny_onnx import variants, write_tiny_onnx
from tests.nvidia.pretend import machine_with_gpu
from tests.nvidia.real import require_gpu

Opener = Callable[[Path], Backend]


def _onnx(spec: ModelSpec) -> Opener:
    return lambda folder: open_backend(write_tiny_onnx(folder / "tiny.onnx", spec))


def _fake(spec: ModelSpec) -> Opener:
    return lambda _folder: FakeBackend(spec)


def _openvino(spec: ModelSpec) -> Opener:
    def opener(folder: Path) -> Backend:
        pytest.importorskip("openvino")
        return open_backend(write_tiny_onnx(folder / "tiny.onnx", spec), "openvino")

    return opener


def _pytorch(_folder: Path) -> Backend:
    pytest.importorskip("torch")
    return open_backend(assets.CHECKPOINT, threads=1, input_hw=(64, 96))


def _pretended_tensorrt(spec: ModelSpec) -> Opener:
    def opener(folder: Path) -> Backend:
        with machine_with_gpu():
            return _engine(folder, spec)

    return opener


def _tensorrt(spec: ModelSpec) -> Opener:
    def opener(folder: Path) -> Backend:
        require_gpu()
        return _engine(folder, spec)

    return opener


def _engine(folder: Path, spec: ModelSpec) -> Backend:
    engine = folder / "tiny.engine"
    build_engine(write_tiny_onnx(folder / "tiny.onnx", spec), engine)
    return open_backend(engine, device="cuda")


OPENERS: dict[str, Opener] = {
    **{f"onnxruntime, {name}": _onnx(spec) for name, spec in variants().items()},
    **{f"openvino, {name}": _openvino(spec) for name, spec in variants().items()},
    **{f"fake, {name}": _fake(spec) for name, spec in variants().items()},
    **{f"tensorrt as pretended, {name}": _pretended_tensorrt(spec) for name, spec in variants().items()},
    **{f"tensorrt, {name}": _tensorrt(spec) for name, spec in variants().items()},
    "pytorch": _pytorch,
}
_ON_A_GPU = {name for name in OPENERS if name.startswith("tensorrt, ")}
PARAMETERS = [pytest.param(name, marks=pytest.mark.gpu if name in _ON_A_GPU else ()) for name in OPENERS]


@pytest.fixture(params=PARAMETERS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with OPENERS[request.param](tmp_path) as opened:
        yield opened


def _feed(backend: Backend, seed: int = 0) -> Array:
    _, shape, dtype = input_tensor(backend.spec)
    random = np.random.default_rng(seed)
    if backend.spec.input is InputKind.UINT8:
        return random.integers(0, 256, shape).astype(dtype)
    return random.normal(size=shape).astype(dtype)


def test_the_answer_has_the_shape_and_type_of_the_spec(backend: Backend) -> None:
    answer = backend.run(_feed(backend))
    _, shape, dtype = output_tensor(backend.spec)
    assert answer.shape == shape
    assert answer.dtype == dtype


def test_the_same_picture_gives_the_same_answer_again(backend: Backend) -> None:
    first = backend.run(_feed(backend)).copy()
    backend.run(_feed(backend, seed=1))
    np.testing.assert_array_equal(backend.run(_feed(backend)), first)


def test_different_pictures_give_different_answers(backend: Backend) -> None:
    feed = _feed(backend)
    dark, bright = (np.full_like(feed, value) for value in ((0, 255) if feed.dtype == np.uint8 else (-2, 2)))
    assert (backend.run(dark).copy() != backend.run(bright)).any()


@pytest.mark.parametrize("backend", [p for p in PARAMETERS if "batch" in str(p.values[0])], indirect=True)
def test_rows_of_a_batch_do_not_influence_each_other(backend: Backend) -> None:
    feed = _feed(backend)
    first = backend.run(feed).copy()
    np.testing.assert_allclose(backend.run(feed[::-1]), first[::-1], atol=1e-5)


def test_a_feed_that_is_not_contiguous_in_memory_is_read_right(backend: Backend) -> None:
    feed = _feed(backend)
    mirrored = np.ascontiguousarray(feed[..., ::-1])[..., ::-1]
    np.testing.assert_array_equal(backend.run(mirrored).copy(), backend.run(feed))


def test_the_feed_is_left_as_it_was(backend: Backend) -> None:
    feed = _feed(backend)
    before = feed.copy()
    backend.run(feed)
    np.testing.assert_array_equal(feed, before)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda feed: feed.astype(np.float64),
        lambda feed: feed[0],
        lambda feed: feed[:, :-1],
        lambda feed: np.concatenate([feed, feed]),
    ],
    ids=["type", "no batch axis", "too small", "too many"],
)
def test_a_feed_that_does_not_fit_is_refused_in_one_line(backend: Backend, spoil: Callable[[Array], Array]) -> None:
    with pytest.raises(BackendError, match=r"must be .* of shape .*, but got") as caught:
        backend.run(spoil(_feed(backend)))
    assert "\n" not in str(caught.value)


def test_a_closed_backend_refuses_to_run_and_may_be_closed_again(backend: Backend) -> None:
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.run(_feed(backend))


def test_leaving_the_with_block_closes(backend: Backend) -> None:
    with backend:
        backend.run(_feed(backend))
    with pytest.raises(BackendError, match="closed"):
        backend.run(_feed(backend))


def test_eight_threads_at_once_get_the_answers_that_one_gets(backend: Backend) -> None:
    feeds = [_feed(backend, seed) for seed in range(8)]
    alone = [backend.run(feed).copy() for feed in feeds]

    def runs_repeatedly(number: int) -> list[Array]:
        together.wait()
        return [backend.run(feeds[number]).copy() for _ in range(4)]

    together = threading.Barrier(len(feeds), timeout=60)
    with ThreadPoolExecutor(len(feeds)) as pool:
        for expected, answers in zip(alone, pool.map(runs_repeatedly, range(len(feeds))), strict=True):
            for answer in answers:
                np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-4)


def test_one_segmenter_serves_eight_threads_with_pictures_of_all_sizes(backend: Backend) -> None:
    segment = Segmenter(backend)
    random = np.random.default_rng(0)
    sizes = [(40 + 7 * i, 90 - 5 * i) for i in range(8)]
    pictures = [np.kron(random.integers(0, 256, (3, 3, 3)), np.ones((*hw, 1)))[::3, ::3] for hw in sizes]
    images = [picture.astype(np.uint8) for picture in pictures]
    alone = [segment(image) for image in images]

    def segments_repeatedly(number: int) -> list[ClassMap]:
        together.wait()
        return [segment(images[number]) for _ in range(4)]

    together = threading.Barrier(len(images), timeout=60)
    with ThreadPoolExecutor(len(images)) as pool:
        for expected, answers in zip(alone, pool.map(segments_repeatedly, range(len(images))), strict=True):
            for answer in answers:
                assert (answer == expected).mean() > 0.999


def test_it_describes_itself_in_one_line(backend: Backend) -> None:
    assert backend.description
    assert "\n" not in backend.description


@pytest.mark.parametrize("suffix", [".onnx", ".pth"])
@pytest.mark.parametrize("content", [None, b"", b"no model at all" * 50], ids=["missing", "empty", "garbage"])
def test_a_file_that_is_not_a_model_is_refused_in_one_line_that_names_it(
    tmp_path: Path, suffix: str, content: bytes | None
) -> None:
    path = tmp_path / f"broken{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AfformerError, match=f"broken{suffix}") as caught:
        open_backend(path)
    assert "\n" not in str(caught.value)

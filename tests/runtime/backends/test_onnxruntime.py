from __future__ import annotations

import dataclasses
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from afformer import assets
from afformer.errors import BackendError, SpecError
from afformer.measure.comparison import compare_segmenters
from afformer.runtime.backends import cuda_graph
from afformer.runtime.backends.base import input_tensor
from afformer.runtime.backends.onnxruntime import OnnxRuntimeBackend
from afformer.runtime.backends.providers import cache_folder
from afformer.runtime.backends.registry import open_backend
from afformer.runtime.choices import Device
from afformer.runtime.segmenter import Segmenter
from afformer.spec import ModelSpec, Precision
from tests.builders.tiny_onnx import SPEC, variants, without_metadata, write_tiny_onnx
from tests.nvidia.real import require_driver


def test_the_spec_comes_from_the_file(tmp_path: Path) -> None:
    for number, spec in enumerate(variants().values()):
        assert OnnxRuntimeBackend(write_tiny_onnx(tmp_path / f"{number}.onnx", spec)).spec == spec


def test_threads_are_passed_on_and_described(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    backend = OnnxRuntimeBackend(path, threads=1)
    assert "1 thread" in backend.description
    feed = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    np.testing.assert_allclose(backend.run(feed), OnnxRuntimeBackend(path).run(feed), atol=1e-6)


def test_a_model_without_our_metadata_says_how_to_get_it(tmp_path: Path) -> None:
    path = without_metadata(write_tiny_onnx(tmp_path / "foreign.onnx"))
    with pytest.raises(SpecError, match=r"foreign\.onnx: has no 'afformer_spec'.*afformer-cli export"):
        OnnxRuntimeBackend(path)


@pytest.mark.parametrize(
    "stamped",
    [
        dataclasses.replace(SPEC, input_hw=(64, 128)),
        dataclasses.replace(SPEC, batch=2),
        dataclasses.replace(SPEC, classes=("a", "b", "c"), palette=SPEC.palette[:3]),
        variants()["bytes in"],
        variants()["class map out"],
    ],
    ids=["size", "batch", "classes", "input", "output"],
)
def test_a_model_that_differs_from_its_spec_is_refused(tmp_path: Path, stamped: ModelSpec) -> None:
    path = write_tiny_onnx(tmp_path / "liar.onnx", SPEC, stamped)
    with pytest.raises(BackendError, match=r"liar\.onnx: differs from its own spec: expected .* but the model has"):
        OnnxRuntimeBackend(path)


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="CUDA is there")
def test_cuda_that_is_not_there_is_an_error_and_never_the_cpu(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"cuda is not available.*onnxruntime-gpu"):
        OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx"), device=Device.CUDA)


@pytest.fixture
def with_gpu_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package with NVIDIA's providers in it, whether or not they start."""
    everything = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: everything)


@pytest.fixture
def graphs_in_cpu_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a graph reads and writes is bound in the CPU's memory; what is bound, and how it is run, stays."""
    monkeypatch.setattr(cuda_graph, "MEMORY", "cpu")


@pytest.mark.usefixtures("with_gpu_package")
def test_cuda_that_is_installed_but_does_not_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    session = ort.InferenceSession

    def without_cuda(path: str, options: ort.SessionOptions, **settings: Any) -> ort.InferenceSession:
        # What ONNX Runtime does when CUDA's libraries are missing: it goes on without the provider.
        on_cpu = settings["providers"][0][0] == "CPUExecutionProvider"
        return session(path, options, **(settings if on_cpu else {**settings, "providers": ["AzureExecutionProvider"]}))

    monkeypatch.setattr(ort, "InferenceSession", without_cuda)
    monkeypatch.setattr(ort, "preload_dlls", lambda: print("Failed to load libcudnn.so.9: no such file\nPlease follow"))
    with pytest.raises(BackendError) as caught:
        OnnxRuntimeBackend(path, device=Device.CUDA)
    assert str(caught.value) == (
        "ONNX Runtime could not start cuda (Failed to load libcudnn.so.9: no such file); run "
        '`pip install "onnxruntime-gpu[cuda,cudnn]"` for the CUDA and cuDNN that it wants, or choose the device cpu'
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("with_gpu_package", "graphs_in_cpu_memory")
@pytest.mark.parametrize("there", [True, False])
def test_cuda_of_pip_packages_is_loaded_before_the_model_is_opened_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    path, seen = write_tiny_onnx(tmp_path / "tiny.onnx"), Recorder(monkeypatch)
    if there:
        monkeypatch.setattr(ort, "preload_dlls", lambda: seen.settings.append({"preloaded": True}), raising=False)
    else:
        monkeypatch.delattr(ort, "preload_dlls", raising=False)  # before 1.21
    OnnxRuntimeBackend(path, device=Device.CUDA).close()
    assert [next(iter(settings)) for settings in seen.settings] == ["providers", *["preloaded"] * there, "providers"]
    seen.settings.clear()
    OnnxRuntimeBackend(path).close()
    assert [next(iter(settings)) for settings in seen.settings] == ["providers"]


@pytest.mark.usefixtures("with_gpu_package")
def test_int8_on_cuda_is_refused_with_the_ways_to_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx", SPEC, dataclasses.replace(SPEC, precision=Precision.INT8))
    Recorder(monkeypatch)
    with pytest.raises(BackendError, match=r"tiny\.onnx: is INT8, .*--precision int8.*onnxruntime-tensorrt") as caught:
        OnnxRuntimeBackend(path, device=Device.CUDA)
    assert "\n" not in str(caught.value)
    with OnnxRuntimeBackend(path) as backend:
        assert backend.spec.precision is Precision.INT8


class Recorder:
    """Stands for a session that takes everything, and remembers what it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.options: list[ort.SessionOptions] = []
        self.settings: list[dict[str, Any]] = []
        self._session = ort.InferenceSession
        monkeypatch.setattr(ort, "InferenceSession", self)

    def __call__(self, path: str, options: ort.SessionOptions, **settings: Any) -> Any:
        self.options.append(options)
        self.settings.append(settings)
        opened = self._session(path, providers=["CPUExecutionProvider"])
        first = settings["providers"][0][0]
        opened.get_providers = lambda: [first, "CPUExecutionProvider"]
        return opened


@pytest.mark.usefixtures("with_gpu_package", "graphs_in_cpu_memory")
@pytest.mark.parametrize("spec", variants().values(), ids=variants())
def test_with_a_graph_every_feed_has_its_own_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ModelSpec
) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx", spec)
    _, shape, dtype = input_tensor(spec)
    feeds = [np.random.default_rng(seed).uniform(0, 255, shape).astype(dtype) for seed in range(3)]
    with OnnxRuntimeBackend(path) as plain:
        expected = [plain.run(feed).copy() for feed in feeds]
    Recorder(monkeypatch)
    with OnnxRuntimeBackend(path, device=Device.CUDA) as backend:
        assert backend.description.endswith("cuda, default threads, CUDA graph")
        for feed, answer in zip(feeds, expected, strict=True):
            np.testing.assert_array_equal(backend.run(feed), answer)


@pytest.mark.usefixtures("with_gpu_package", "graphs_in_cpu_memory")
def test_a_graph_is_recorded_and_replayed_by_one_thread_at_fixed_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[tuple[str, int]] = []

    def run(session: ort.InferenceSession, binding: Any) -> None:
        runs.append((threading.current_thread().name, id(binding)))

    Recorder(monkeypatch)
    monkeypatch.setattr(ort.capi.onnxruntime_inference_collection.InferenceSession, "run_with_iobinding", run)
    feed = np.zeros((1, 3, 64, 96), np.float32)
    with OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx"), device=Device.CUDA) as backend:
        assert len(runs) == 1  # recorded when the model is opened
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(backend.run, [feed] * 8))
    assert len(runs) == 9
    assert len(set(runs)) == 1
    assert runs[0][0].startswith("cuda graph")


@pytest.mark.usefixtures("with_gpu_package", "graphs_in_cpu_memory")
def test_a_closed_backend_with_a_graph_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder(monkeypatch)
    backend = OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx"), device=Device.CUDA)
    backend.close()
    with pytest.raises(BackendError, match="already closed"):
        backend.run(np.zeros((1, 3, 64, 96), np.float32))


@pytest.mark.usefixtures("with_gpu_package", "graphs_in_cpu_memory")
@pytest.mark.parametrize("when", ["opened", "recorded"])
def test_a_model_that_rules_out_a_graph_runs_without_one_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    said = "This session cannot use the graph capture feature as requested by the user: it has control flow nodes"
    seen, warned = Recorder(monkeypatch), list[str]()
    log = logging.getLogger("afformer.runtime.backends.onnxruntime")
    monkeypatch.setattr(log, "warning", lambda text, *parts: warned.append(text % parts))

    def refuse(path: str, options: ort.SessionOptions, **settings: Any) -> Any:
        if "enable_cuda_graph" in settings["providers"][0][1]:
            raise RuntimeError(said)
        return seen(path, options, **settings)

    def fail(*_: object) -> None:
        raise RuntimeError(said)

    if when == "opened":
        monkeypatch.setattr(ort, "InferenceSession", refuse)
    else:
        monkeypatch.setattr(ort.OrtValue, "update_inplace", fail)
    with OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx"), device=Device.CUDA) as backend:
        assert backend.description.endswith(f", no CUDA graph ({said})")
        assert backend.run(np.zeros((1, 3, 64, 96), np.float32)).shape[1] == SPEC.num_classes
    assert seen.settings[-1]["providers"] == [("CUDAExecutionProvider", {"use_tf32": "0"})]
    assert len(warned) == 1
    assert warned[0].endswith(f"tiny.onnx: runs without a CUDA graph, which is slower ({said})")


@pytest.mark.usefixtures("with_gpu_package", "graphs_in_cpu_memory")
def test_cuda_computes_float32_as_such_and_leaves_nothing_to_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = write_tiny_onnx(tmp_path / "tiny.onnx"), Recorder(monkeypatch)
    with OnnxRuntimeBackend(path, device=Device.CUDA) as backend:
        assert "cuda" in backend.description
    options = {"use_tf32": "0", "enable_cuda_graph": "1"}
    assert seen.settings[1:] == [{"providers": [("CUDAExecutionProvider", options)], "enable_fallback": 0}]
    assert seen.options[1].get_session_config_entry("session.disable_cpu_ep_fallback") == "1"


@pytest.mark.usefixtures("with_gpu_package")
@pytest.mark.parametrize(
    ("precision", "half", "int8"), [(Precision.FP32, "0", "0"), (Precision.FP16, "1", "0"), (Precision.INT8, "0", "1")]
)
def test_the_tensorrt_provider_is_told_the_precision_and_keeps_its_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision, half: str, int8: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = write_tiny_onnx(tmp_path / "tiny.onnx", SPEC, dataclasses.replace(SPEC, precision=precision))
    seen = Recorder(monkeypatch)
    with open_backend(path, "onnxruntime-tensorrt", device="cuda") as backend:
        assert "cuda through TensorRT" in backend.description
    (tensorrt, options), (cuda, _) = seen.settings[-1]["providers"]
    assert (tensorrt, cuda) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (half, int8)
    folder = Path(options["trt_engine_cache_path"])
    assert folder.is_dir()
    assert folder.is_relative_to(tmp_path / "cache" / "afformer")
    assert (options["trt_engine_cache_enable"], options["trt_timing_cache_enable"]) == ("1", "1")
    assert seen.options[-1].get_session_config_entry("session.disable_cpu_ep_fallback") == "1"


def test_engines_of_different_models_and_versions_are_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one = write_tiny_onnx(tmp_path / "one.onnx")
    other = write_tiny_onnx(tmp_path / "other.onnx", variants()["odd size"])
    assert len({cache_folder(one, "1.0"), cache_folder(one, "1.1"), cache_folder(other, "1.0")}) == 3


@pytest.mark.usefixtures("with_gpu_package")
def test_operators_without_a_kernel_on_the_gpu_are_an_error_and_never_run_on_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A provider that starts everywhere and has no kernel for anything: what ONNX Runtime says of it is real.
    monkeypatch.setattr("afformer.runtime.backends.providers.CUDA", "AzureExecutionProvider")
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["AzureExecutionProvider"])
    with pytest.raises(BackendError, match=r"tiny\.onnx: ONNX Runtime has no kernels for some .* on cuda") as caught:
        OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx"), device=Device.CUDA)
    assert "\n" not in str(caught.value)


def test_the_tensorrt_provider_that_is_not_there_names_the_ways_to_go_on_and_makes_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    with pytest.raises(BackendError, match=r"not available in this ONNX Runtime.*afformer-cli engine") as caught:
        open_backend(path, "onnxruntime-tensorrt")
    assert 'pip uninstall -y onnxruntime && pip install "onnxruntime-gpu[cuda,cudnn]"' in str(caught.value)
    assert "cache" not in str(caught.value)
    assert not (tmp_path / "cache").exists()
    with pytest.raises(BackendError, match=r"TensorRT runs on NVIDIA GPUs, not on the cpu; choose the device cuda"):
        open_backend(path, "onnxruntime-tensorrt", device="cpu")


@pytest.mark.usefixtures("with_gpu_package")
def test_the_tensorrt_provider_that_does_not_start_names_its_libraries_and_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(ort, "cuda_version", "12.8", raising=False)
    monkeypatch.setattr("afformer.runtime.backends.providers.TENSORRT", "AzureExecutionProvider")
    monkeypatch.setattr("afformer.runtime.backends.providers._cuda", lambda: ("NoSuchProvider", {}))
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["AzureExecutionProvider"])
    with pytest.raises(BackendError, match=r"tensorrt-cu12<11.*cache is .*onnxruntime-.* may be deleted") as caught:
        open_backend(write_tiny_onnx(tmp_path / "tiny.onnx"), "onnxruntime-tensorrt")
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-tensorrt"])
def test_on_a_gpu_class_maps_are_those_of_the_cpu_from_all_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    wanted = "TensorrtExecutionProvider" if "tensorrt" in name else "CUDAExecutionProvider"
    if wanted not in ort.get_available_providers():
        pytest.skip(f"this ONNX Runtime has no {wanted}")
    require_driver()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with open_backend(assets.MODEL) as ours, open_backend(assets.MODEL, name, device="cuda") as theirs:
        assert theirs.description.endswith(", CUDA graph") is (name == "onnxruntime")
        result = compare_segmenters(Segmenter(ours), Segmenter(theirs), assets.pictures(), ours.spec.classes)
        segment, pictures = Segmenter(theirs), assets.pictures()
        alone = [segment(picture) for picture in pictures]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(segment, [*pictures] * 8))
    assert result.pixel_agreement >= 0.995
    assert all(np.array_equal(found, alone[number % len(alone)]) for number, found in enumerate(together))


def test_a_negative_number_of_threads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="threads must be 0"):
        OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx"), threads=-1)


def test_a_truncated_model_is_refused_and_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_onnx(tmp_path / "cut.onnx")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises((BackendError, SpecError), match=r"cut\.onnx"):
        OnnxRuntimeBackend(path)
    assert capfd.readouterr() == ("", "")


def test_a_folder_is_not_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    with pytest.raises(BackendError, match=r"folder\.onnx: no such model file"):
        OnnxRuntimeBackend(folder)


def test_feeds_in_turn_and_feeds_that_change_in_place_are_read_anew(tmp_path: Path) -> None:
    dark, bright = np.full((1, 3, 64, 96), -2, np.float32), np.full((1, 3, 64, 96), 2, np.float32)
    with OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx")) as backend:
        of_dark, of_bright = backend.run(dark).copy(), backend.run(bright).copy()
        assert (of_dark != of_bright).any()
        np.testing.assert_array_equal(backend.run(dark), of_dark)
        dark[:] = bright
        np.testing.assert_array_equal(backend.run(dark), of_bright)
        for _ in range(3):  # arrays that are gone at once may follow each other in the same memory
            np.testing.assert_array_equal(backend.run(np.full_like(dark, 2)), of_bright)
            np.testing.assert_array_equal(backend.run(np.full_like(dark, -2)), of_dark)


def test_the_answer_is_the_same_buffer_every_time(tmp_path: Path) -> None:
    feed = np.zeros((1, 3, 64, 96), np.float32)
    with OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx")) as backend:
        answer = backend.run(feed)
        assert backend.run(feed) is answer
    assert np.isfinite(answer).all()  # and it outlives the engine

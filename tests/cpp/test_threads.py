"""One C++ segmenter in many threads."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from afformer import assets
from afformer.spec import ModelSpec
from tests.builders.tiny_onnx import variants, write_tiny_onnx
from tests.cpp.conftest import CPP, Once, build, checked_by, run
from tests.cpp.fake_engines import BYTES, SPEC, write_engine


@pytest.fixture(scope="module")
def racing(once: Once, tools: None) -> Path:
    """The program of many threads under the thread sanitizer, with stand-ins for TensorRT and CUDA."""

    def fill(folder: Path) -> None:
        build(CPP, folder, *checked_by("thread", folder), targets=("afformer-threads",))

    return once("racing", fill) / "tests" / "afformer-threads"


@pytest.mark.parametrize("name", variants())
def test_eight_threads_get_the_class_maps_of_one(
    built: Path, onnxruntime_library: Path, tmp_path: Path, name: str
) -> None:
    model = write_tiny_onnx(tmp_path / "model.onnx", variants()[name])
    variables = {"AFFORMER_ONNXRUNTIME": str(onnxruntime_library)}
    assert run(built / "tests" / "afformer-threads", model, "8", "20", "--threads", "1", **variables) == "0\n"


def test_eight_threads_share_the_bundled_model(built: Path, onnxruntime_library: Path) -> None:
    variables = {"AFFORMER_ONNXRUNTIME": str(onnxruntime_library)}
    assert run(built / "tests" / "afformer-threads", assets.MODEL, "8", "1", "--threads", "1", **variables) == "0\n"


@pytest.mark.parametrize("gpu", ["0", "1"])
@pytest.mark.parametrize("spec", [SPEC, BYTES, dataclasses.replace(SPEC, batch=3)], ids=["float", "bytes", "batch"])
def test_threads_do_not_race_and_work_on_the_gpu_of_the_one_that_opened(
    racing: Path, tmp_path: Path, spec: ModelSpec, gpu: str
) -> None:
    assert run(racing, write_engine(tmp_path, spec), "8", "5", AFFORMER_FAKE_CURRENT=gpu) == "0\n"

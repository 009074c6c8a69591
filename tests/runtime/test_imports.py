"""What importing the runtime loads, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.tiny_onnx import write_tiny_onnx

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "onnx", "tensorrt", "openvino", "onnxsim")


def _modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('modules:', *{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.partition("modules:")[2].split())


def test_importing_the_runtime_loads_no_backend_and_no_numpy() -> None:
    loaded = _modules_after("import afformer.runtime")
    assert loaded.isdisjoint({*HEAVY, "onnxruntime", "cv2", "numpy"})


def test_every_public_name_is_there_and_none_loads_a_framework() -> None:
    loaded = _modules_after("import afformer.runtime as r\nfor name in r.__all__: getattr(r, name)")
    assert "cv2" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_segmenting_with_an_onnx_model_needs_onnx_runtime_alone(tmp_path: Path) -> None:
    model = write_tiny_onnx(tmp_path / "tiny.onnx")
    loaded = _modules_after(
        "import numpy as np\nfrom afformer.runtime import Segmenter\n"
        f"Segmenter({str(model)!r})(np.zeros((20, 30, 3), np.uint8))"
    )
    assert "onnxruntime" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    import afformer.runtime

    with pytest.raises(AttributeError, match="no attribute 'Segmentor'"):
        _ = afformer.runtime.Segmentor


def test_public_names_are_offered_for_completion() -> None:
    import afformer.runtime

    assert {"Segmenter", "Fit", "open_backend"} <= set(dir(afformer.runtime))

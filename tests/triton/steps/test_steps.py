"""The steps around a network in Triton's Python backend, with a stand-in for what Triton brings."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from afformer import Segmenter
from afformer.spec import METADATA_KEY
from tests.builders.cli import STREET
from tests.builders.tiny_onnx import variants, write_tiny_onnx


@pytest.fixture(autouse=True)
def triton(monkeypatch: pytest.MonkeyPatch) -> None:
    def tensor(name: str, array: Any) -> SimpleNamespace:
        return SimpleNamespace(name=name, as_numpy=lambda: array)

    def response(output_tensors: Any = (), error: Any = None) -> SimpleNamespace:
        return SimpleNamespace(error=error, tensors={made.name: made.as_numpy() for made in output_tensors})

    brought = SimpleNamespace(
        Tensor=tensor,
        InferenceResponse=response,
        TritonError=str,
        get_input_tensor_by_name=lambda request, name: SimpleNamespace(as_numpy=lambda: request[name]),
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", brought)


def step(module: Any, spec: Any, fit: str) -> Any:
    made = module.TritonPythonModel()
    parameters = {METADATA_KEY: {"string_value": spec.to_json()}, "fit": {"string_value": fit}}
    made.initialize({"model_config": json.dumps({"parameters": parameters})})
    return made


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("kind", [kind for kind, spec in variants().items() if spec.batch == 1])
def test_the_steps_around_a_network_are_a_segmenter(tmp_path: Path, kind: str, fit: str) -> None:
    from afformer.triton.steps import classmap, decode

    spec = variants()[kind]
    with Segmenter(write_tiny_onnx(tmp_path / "tiny.onnx", spec), fit=fit) as segmenter:
        request = {"picture": np.array([STREET.read_bytes()], object)}
        (decoded,) = step(decode, spec, fit).execute([request])
        output = segmenter.backend.run(decoded.tensors["image"])
        answer = {spec.output.value: output, "covered": decoded.tensors["covered"]}
        (found,) = step(classmap, spec, fit).execute([answer])
        np.testing.assert_array_equal(found.tensors["classes"], segmenter(STREET))


def test_a_picture_that_cannot_be_read_is_an_error_of_its_request_alone() -> None:
    from afformer.triton.steps import decode

    spec = variants()["float input, logits"]
    good, bad = (np.array([data], object) for data in (STREET.read_bytes(), b"junk"))
    first, second = step(decode, spec, "stretch").execute([{"picture": bad}, {"picture": good}])
    assert "the picture: is not a picture" in first.error
    assert second.error is None

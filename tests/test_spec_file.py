from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from afformer.errors import SpecError
from afformer.spec import InputKind, ModelSpec
from afformer.spec_file import decide_spec, read_spec_file, write_spec_file
from tests.builders.tiny_onnx import SPEC

LEAST = {"input_hw": [64, 96], "classes": ["road", "other"]}


def _file(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    spec = dataclasses.replace(SPEC, stride=4, input_name="x", output_name="y", classes=("a", "ß", "c", "d"))
    write_spec_file(tmp_path / "spec.json", spec)
    assert read_spec_file(tmp_path / "spec.json") == spec


def test_size_and_classes_are_enough(tmp_path: Path) -> None:
    spec = read_spec_file(_file(tmp_path, LEAST))
    assert (spec.input_hw, spec.classes, spec.stride) == ((64, 96), ("road", "other"), 8)
    assert len(set(spec.palette)) == 2
    assert read_spec_file(_file(tmp_path, {**LEAST, "input": "uint8"})).input is InputKind.UINT8


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not a spec file, which is JSON"),
        ([1], "holds one JSON object"),
        ({"classes": ["a"]}, "lacks input_hw"),
        ({**LEAST, "men": [1, 2, 3]}, "did you mean mean?"),
        ({**LEAST, "classes": []}, "classes is [], expected a list of names"),
        ({**LEAST, "std": [0, 1, 1]}, "std must be above 0"),
        ({**LEAST, "input_hw": [64]}, "cannot be read"),
        ({**LEAST, "palette": [[1, 2, 3]]}, "one colour a class"),
        ({**LEAST, "layout": "NHWC"}, "only 'NCHW' is known"),
    ],
)
def test_a_file_with_a_mistake_is_one_line_that_names_it(tmp_path: Path, content: Any, said: str) -> None:
    path = _file(tmp_path, content)
    with pytest.raises(SpecError) as error:
        read_spec_file(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "export the model again" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.json: the spec file cannot be read"):
        read_spec_file(tmp_path / "none.json")


def test_a_models_own_spec_stays_and_is_not_contradicted() -> None:
    said = dataclasses.replace(SPEC, variant="unknown", input_name="x")
    assert decide_spec(SPEC.to_json(), said, "m.onnx") == SPEC
    assert decide_spec(None, said, "m.onnx") == said
    other = dataclasses.replace(SPEC, mean=(0.0, 0.0, 0.0))
    with pytest.raises(SpecError, match=r"m\.onnx: has a spec of its own, in which mean is .* leave `spec` out"):
        decide_spec(SPEC.to_json(), other, "m.onnx")


def test_a_model_without_a_spec_says_how_to_give_it_one() -> None:
    with pytest.raises(SpecError, match=r"inspect MODEL --write-spec spec\.json` starts, and name that as `spec`"):
        ModelSpec.from_metadata(None, "m.onnx")

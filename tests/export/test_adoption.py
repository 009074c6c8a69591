from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

from afformer.errors import SpecError
from afformer.export.adoption import adopted
from afformer.runtime import open_backend
from afformer.spec import OutputKind
from tests.builders.foreign_onnx import FORMS, write_foreign_onnx
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx


@pytest.mark.parametrize("form", FORMS)
def test_an_adopted_model_is_one_of_ours_and_gives_the_same(tmp_path: Path, form: str) -> None:
    kind = OutputKind.CLASSMAP if "ids" in form else OutputKind.LOGITS
    said = dataclasses.replace(SPEC, output=kind, stride=1 if form == "logits at full size" else 8)
    foreign = write_foreign_onnx(tmp_path / "foreign.onnx", form)
    model, spec = adopted(foreign, said)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "adopted.onnx")
    feed = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    with open_backend(foreign, spec=said) as before, open_backend(tmp_path / "adopted.onnx") as after:
        assert after.spec == spec == said
        np.testing.assert_array_equal(before.run(feed), after.run(feed))
    assert all(length.HasField("dim_value") for length in model.graph.input[0].type.tensor_type.shape.dim)
    assert len({node.name for node in model.graph.node} - {""}) == len(model.graph.node)


def test_a_model_with_a_spec_stays_as_it_is(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "own.onnx")
    model, spec = adopted(path, None)
    assert (model, spec) == (onnx.load(path), SPEC)


def test_a_spec_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = write_foreign_onnx(tmp_path / "foreign.onnx", "open lengths")
    with pytest.raises(SpecError, match="do not follow from the spec"):
        adopted(path, dataclasses.replace(SPEC, stride=4))

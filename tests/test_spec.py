from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afformer.errors import SpecError
from afformer.spec import ColorOrder, InputKind, ModelSpec, OutputKind, Precision, Target

SPEC = ModelSpec("tiny", (360, 480), ("road", "car"), ((1, 2, 3), (4, 5, 6)), tools={"torch": "2"})


@given(
    count=st.integers(1, 40),
    size=st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
    kind=st.sampled_from(InputKind),
    output=st.sampled_from(OutputKind),
    precision=st.sampled_from(Precision),
    name=st.text(),
    order=st.sampled_from(ColorOrder),
)
def test_spec_survives_its_own_json(
    count: int,
    size: tuple[int, int],
    kind: InputKind,
    output: OutputKind,
    precision: Precision,
    name: str,
    order: ColorOrder,
) -> None:
    classes, palette = tuple(f"{name}{i}" for i in range(count)), ((0, 128, 255),) * count
    spec = ModelSpec("base", size, classes, palette, input=kind, output=output, precision=precision, color_order=order)
    assert ModelSpec.from_json(spec.to_json()) == spec


def test_json_says_what_other_readers_need() -> None:
    fields = json.loads(SPEC.to_json())
    assert (fields["spec_version"], fields["layout"], fields["color_order"], fields["stride"]) == (1, "NCHW", "RGB", 8)
    other = json.loads(dataclasses.replace(SPEC, input=InputKind.UINT8).to_json())
    assert other["layout"] == "NHWC"
    assert json.loads(dataclasses.replace(SPEC, color_order=ColorOrder.BGR).to_json())["color_order"] == "BGR"


def test_a_spec_of_an_earlier_version_says_nothing_of_where_it_is_from() -> None:
    fields = json.loads(SPEC.to_json())
    del fields["provenance"]
    assert ModelSpec.from_json(json.dumps(fields)) == SPEC


@pytest.mark.parametrize("target", Target)
def test_an_int8_model_says_its_target_and_one_from_before_has_none(target: Target) -> None:
    spec = dataclasses.replace(SPEC, precision=Precision.INT8, target=target)
    fields = json.loads(spec.to_json())
    assert fields["target"] == target.value
    assert ModelSpec.from_json(spec.to_json()) == spec
    del fields["target"]
    assert ModelSpec.from_json(json.dumps(fields)).target is None


def test_odd_sizes_have_logits_rounded_up() -> None:
    assert dataclasses.replace(SPEC, input_hw=(500, 333)).logits_hw == (63, 42)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_hw", [360]),
        ("input_hw", [0, 480]),
        ("input_hw", [3, 360, 480]),
        ("input_hw", [360.5, 480]),
        ("batch", float("inf")),
        ("batch", 0),
        ("mean", [float("nan")] * 3),
        ("mean", [1.0]),
        ("std", [0.0, 1.0, 1.0]),
        ("classes", []),
        ("palette", [[1, 2, 3]]),
        ("palette", [[1, 2, 3], [4, 5, 256]]),
        ("palette", [[1, 2], [3, 4]]),
        ("input", "float64"),
        ("output", None),
        ("color_order", "GBR"),
        ("layout", "NHWC"),
        ("stride", 0),
        ("stride", 1.5),
        ("stride", "8"),
        ("target", "riscv"),
        ("target", "x86"),
    ],
)
def test_specs_that_cannot_be_are_refused_with_one_line_that_names_the_file(field: str, value: Any) -> None:
    fields = {**json.loads(SPEC.to_json()), field: value}
    with pytest.raises(SpecError) as error:
        ModelSpec.from_json(json.dumps(fields), where="model.onnx")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"spec_version": 1}', "[" * 100_000])
def test_texts_that_are_no_spec_are_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"^model\.onnx: "):
        ModelSpec.from_json(text, where="model.onnx")


def test_newer_format_says_which_version_reads_it() -> None:
    text = json.dumps({**json.loads(SPEC.to_json()), "spec_version": 2})
    with pytest.raises(SpecError, match="spec format 2, but this version reads format 1"):
        ModelSpec.from_json(text)


@pytest.mark.parametrize("field", ["classes", "dataset", "variant"])
def test_half_a_surrogate_pair_is_refused_as_no_file_can_hold_it(field: str) -> None:
    fields = json.loads(SPEC.to_json())
    broken = fields | {field: ["\ud800"] * len(SPEC.classes) if field == "classes" else "\ud800"}
    with pytest.raises(SpecError, match=r"^model\.onnx: .*half of a surrogate pair") as caught:
        ModelSpec.from_json(json.dumps(broken), where="model.onnx")
    str(caught.value).encode()
    with pytest.raises(SpecError, match="half of a surrogate pair"):
        ModelSpec(**{**vars(SPEC), field: tuple(broken[field]) if field == "classes" else broken[field]})


@pytest.mark.parametrize("version", ["1\n2", "\ud800", "x" * 10_000, [[[]]]])
def test_a_strange_format_number_is_quoted_in_one_short_line(version: Any) -> None:
    with pytest.raises(SpecError, match=r"^model spec: spec format") as caught:
        ModelSpec.from_json(json.dumps({**json.loads(SPEC.to_json()), "spec_version": version}))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afformer.runtime.backends.base import input_tensor
from afformer.spec import InputKind, ModelSpec, OutputKind, Precision
from tests.cpp import probe as probing
from tests.cpp.probe import Probe, RefusedError

OF_PYTHON_ALONE = {"tools", "provenance", "target", "reduce_zero_label", "stride", "input_name", "output_name"}
"""C++ reads no models with names of their own, and no stride but 8."""
PLAIN = ModelSpec("tiny", (360, 480), ("road", "car"), ((1, 2, 3), (4, 5, 6)), tools={"torch": "2"})
NAMES = st.text(st.characters(codec="utf-8"))


def _read(probe: Probe, **changed: Any) -> dict[str, Any]:
    return probe.spec(json.dumps({**json.loads(PLAIN.to_json()), **changed}))


@pytest.mark.parametrize("field", ["spec_version", "input", "layout", "input_hw", "classes"])
def test_a_field_that_is_nested_without_end_is_refused(probe: Probe, field: str) -> None:
    deep = "[" * 200_000 + "]" * 200_000
    text = json.dumps({**json.loads(PLAIN.to_json()), field: None}).replace(f'"{field}": null', f'"{field}": {deep}')
    with pytest.raises(RefusedError, match=r"^model\.onnx: its spec cannot be read \(nested too deeply\)"):
        probe.spec(text)


@settings(max_examples=100)
@given(
    count=st.integers(1, 256),
    size=st.tuples(st.integers(1, 65535), st.integers(1, 65535)),
    batch=st.integers(1, 65535),
    kind=st.sampled_from(InputKind),
    output=st.sampled_from(OutputKind),
    precision=st.sampled_from(Precision),
    name=NAMES,
    mean=st.floats(allow_nan=False, allow_infinity=False),
    std=st.floats(min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False),
)
def test_every_field_arrives(
    probe: Probe,
    count: int,
    size: tuple[int, int],
    batch: int,
    kind: InputKind,
    output: OutputKind,
    precision: Precision,
    name: str,
    mean: float,
    std: float,
) -> None:
    classes = tuple(f"{name}{i}" for i in range(count))
    palette = tuple((i, 255 - i, 7) for i in range(count))
    spec = ModelSpec(
        *("base", size, classes, palette, name, batch, kind, output, precision),
        *((mean, -mean, 0.0), (std, 1.0, 2.0), "ab12"),
    )
    text = spec.to_json()
    fields = json.loads(text)
    read = probe.spec(text)
    assert read.pop("json") == text
    assert read.pop("num_classes") == count
    assert read.pop("logits_hw") == list(spec.logits_hw)
    _, shape, dtype = input_tensor(spec)
    assert read.pop("input_bytes") == np.prod(shape, dtype=np.int64) * dtype.itemsize
    cells = batch * (count * 4 * np.prod(spec.logits_hw) if output is OutputKind.LOGITS else np.prod(size))
    assert read.pop("output_bytes") == cells
    assert read == {name: fields[name] for name in read}
    assert set(read) == {field.name for field in dataclasses.fields(ModelSpec)} - OF_PYTHON_ALONE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_hw", [360]),
        ("input_hw", [0, 480]),
        ("input_hw", [65536, 480]),
        ("input_hw", "ab"),
        ("batch", float("inf")),
        ("batch", 0),
        ("batch", 1.5),
        ("batch", 1e30),
        ("mean", [float("nan")] * 3),
        ("mean", [1.0]),
        ("mean", {"r": 1.0, "g": 2.0, "b": 3.0}),
        ("mean", ["1", "2", "3"]),
        ("std", [0.0, 1.0, 1.0]),
        ("std", [1.0, 1.0, -1.0]),
        ("classes", []),
        ("classes", [1, 2]),
        ("palette", [[1, 2, 3]]),
        ("palette", [[1, 2, 3], [4, 5, 256]]),
        ("palette", [[1, 2, 3], [4, 5, -1]]),
        ("palette", [[1, 2], [3, 4]]),
        ("palette", {"road": [1, 2, 3], "car": {}}),
        ("input", "float64"),
        ("input", "line one\nline two"),
        ("output", None),
        ("precision", "fp8"),
        ("color_order", "GBR"),
        ("layout", "NHWC"),
        ("stride", 4),
        ("variant", 7),
    ],
)
def test_specs_that_cannot_be_are_refused_with_one_line_that_names_the_file(
    probe: Probe, field: str, value: Any
) -> None:
    with pytest.raises(RefusedError, match=r"^model\.onnx: ") as error:
        _read(probe, **{field: value})
    assert error.value.code == probing.SPEC
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"std": [1.0, 0.0, 1.0]}, "std must be above 0"),
        ({"mean": [1.0]}, "mean and std must have three finite values each"),
        ({"batch": 0}, r"input size and batch must be positive, .*got \[360,480\] and 0"),
        ({"palette": [[1, 2, 3]]}, r"palette must have one colour a class \(2\), got 1"),
        ({"palette": [[1, 2, 3], [1, 2, 300]]}, "palette colours must be three integers from 0 to 255"),
        ({"classes": [], "palette": []}, "there must be at least one class"),
        ({"layout": "NHWC"}, 'layout is "NHWC", only "NCHW" is known'),
        ({"spec_version": 2}, "spec format 2, but this version reads format 1; use a matching afformer version"),
        ({"classes": ["x"] * 257, "palette": [[0, 0, 0]] * 257}, "has 257 classes, .* at most 256"),
    ],
)
def test_errors_say_what_is_wrong(probe: Probe, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        _read(probe, **changed)


@pytest.mark.parametrize("name", sorted(set(json.loads(PLAIN.to_json())) - OF_PYTHON_ALONE))
def test_a_missing_field_is_named(probe: Probe, name: str) -> None:
    fields = json.loads(PLAIN.to_json())
    del fields[name]
    with pytest.raises(RefusedError, match=rf"its spec cannot be read \(.*{name}.*\); export the model again"):
        probe.spec(json.dumps(fields))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"spec_version": 1}', "[" * 100_000, '"\x00', "{'a': 1}", '"\u00ff' * 999]
)
def test_texts_that_are_no_spec_are_refused(probe: Probe, text: str) -> None:
    with pytest.raises(RefusedError, match=r"^model\.onnx: its spec cannot be read") as error:
        probe.spec(text)
    assert error.value.code == probing.SPEC
    assert "\n" not in str(error.value)


@settings(max_examples=100)
@given(st.data())
def test_a_damaged_spec_is_read_or_refused_but_never_breaks_anything(probe: Probe, data: st.DataObject) -> None:
    text = PLAIN.to_json()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 20, len(text))))
    damaged = text[:start] + data.draw(NAMES) + text[end:]
    try:
        assert probe.spec(damaged)["json"] == damaged
    except RefusedError as error:
        assert error.code == probing.SPEC  # noqa: PT017

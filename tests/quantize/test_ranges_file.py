from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afformer.errors import OutputError, QuantizeError
from afformer.quantize.observers import Method
from afformer.quantize.ranges import Range
from afformer.quantize.ranges_file import CalibrationKey, load, save
from afformer.runtime.choices import Fit

KEY = CalibrationKey(Method.AVERAGE, False, 64, "aa", "bb")
RANGES = {"z first": Range(-3.25, 4.5), "a second": Range(0.0, 1 / 3)}
TENSORS = list(RANGES)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.ranges.json"
    save(path, RANGES, KEY)
    return path


def test_what_was_saved_is_read_back(saved: Path) -> None:
    found = load(saved, KEY, TENSORS)
    assert found.ranges == RANGES
    assert found.reason == "same model, pictures and method"


def test_the_file_is_plain_json_with_one_tensor_a_line_in_the_order_given(saved: Path) -> None:
    lines = saved.read_text().splitlines()
    assert lines[8:10] == ['    "z first": [-3.25, 4.5],', '    "a second": [0.0, 0.3333333333333333]']
    assert json.loads(saved.read_text())["method"] == "average"


@given(st.dictionaries(st.text(), st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 9))))
def test_any_names_and_numbers_survive(
    tmp_path_factory: pytest.TempPathFactory, ends: dict[str, tuple[float, float]]
) -> None:
    ranges = {name: Range(min(pair), max(pair)) for name, pair in ends.items()}
    path = tmp_path_factory.mktemp("ranges") / "ranges.json"
    save(path, ranges, KEY)
    assert load(path, KEY, list(ranges)).ranges == ranges


def test_a_hand_edited_range_is_taken(saved: Path) -> None:
    saved.write_text(saved.read_text().replace("4.5", "4"))
    ranges = load(saved, KEY, TENSORS).ranges
    assert ranges is not None
    assert ranges["z first"] == Range(-3.25, 4.0)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    found = load(tmp_path / "none.json", KEY, TENSORS)
    assert (found.ranges, found.reason) == (None, "there was no ranges file")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_sha256": "cc"}, "the model has changed"),
        ({"pictures_sha256": "cc", "pictures": 20}, r"the pictures have changed \(64 then, 20 now\)"),
        ({"method": Method.MSE}, "they were made by average, not by mse"),
        ({"symmetric": True}, "they were made by average, not by average, symmetric"),
        ({"fit": Fit.PAD}, "they were made by average, not by average, fit pad"),
    ],
)
def test_ranges_of_something_else_are_not_used(saved: Path, change: dict[str, object], reason: str) -> None:
    found = load(saved, dataclasses.replace(KEY, **change), TENSORS)  # type: ignore[arg-type]
    assert found.ranges is None
    assert found.reason == reason.replace("\\", "")


def test_a_tensor_that_is_missing_makes_the_file_useless(saved: Path) -> None:
    found = load(saved, KEY, [*TENSORS, "new"])
    assert (found.ranges, found.reason) == (None, "it lacks 1 tensors, among them new")


def test_tensors_that_are_not_needed_are_left_out(saved: Path) -> None:
    assert load(saved, KEY, ["a second"]).ranges == {"a second": RANGES["a second"]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-3.25, 4.5", "4.5, -3.25", r"the range of 'z first' is \[4.5, -3.25\], expected \[low, high\]"),
        ("-3.25, 4.5", "4.5", "the range of 'z first' is"),
        ("-3.25, 4.5", '"low", 4.5', "the range of 'z first' is"),
        ("-3.25", "NaN", "the range of 'z first' is"),
        ("4.5],", "4.5]", "cannot be read as a ranges file"),
        ('"average"', '"guess"', "cannot be read as a ranges file"),
        ('"format": 1', '"format": 2', "has format 2, expected 1"),
        ('"model_sha256"', '"model"', "cannot be read as a ranges file"),
    ],
)
def test_a_mistake_in_editing_is_an_error_and_nothing_is_overwritten(
    saved: Path, old: str, new: str, message: str
) -> None:
    saved.write_text(saved.read_text().replace(old, new))
    with pytest.raises(QuantizeError, match=message):
        load(saved, KEY, TENSORS)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save(tmp_path / "missing" / "ranges.json", RANGES, KEY)


def test_a_fit_of_its_own_is_kept_in_the_file_and_the_usual_one_is_not(saved: Path) -> None:
    assert "fit" not in json.loads(saved.read_text())
    padded = dataclasses.replace(KEY, fit=Fit.PAD)
    save(saved, RANGES, padded)
    assert load(saved, padded, TENSORS).ranges == RANGES
    assert load(saved, KEY, TENSORS).reason == "they were made by average, fit pad, not by average"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[-1.0, 4.5]", "[" * 100_000 + "]" * 100_000),
        ("[-1.0, 4.5]", f"[-1, 1{'0' * 400}]"),
        ("[-1.0, 4.5]", "[-Infinity, Infinity]"),
        ("[-1.0, 4.5]", '"a\\nb"'),
        ("[-1.0, 4.5]", '"\\ud800"'),
        ('"pictures": 64', '"pictures": Infinity'),
        ('"format": 1', '"format": "a\\n\\ud800"'),
        ('"average"', '"\\ud800"'),
    ],
)
def test_whatever_stands_in_the_file_ends_in_one_line(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "ranges.json"
    save(path, {"a": Range(-1.0, 4.5)}, KEY)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(QuantizeError, match=r"ranges\.json: ") as caught:
        load(path, KEY, ["a"])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_ranges_of_a_model_with_a_batch_from_before_pictures_were_counted_are_not_reused(saved: Path) -> None:
    batch = dataclasses.replace(KEY, batch=2)
    found = load(saved, batch, TENSORS)
    assert found.ranges is None
    assert found.reason == "they were made by average, not by average, picture by picture in batches of 2"
    save(saved, RANGES, batch)
    assert load(saved, batch, TENSORS).ranges == RANGES

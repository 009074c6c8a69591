from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from afformer.measure.pictures import Failure
from afformer.quantize.report import write
from afformer.quantize.report.page import Illustrations, render_page
from afformer.quantize.search import SearchLog
from tests.builders.pages import assert_loads_nothing, assert_well_formed, text_of
from tests.builders.quantize_report import ILLUSTRATIONS, REPORT, accuracy


def test_the_page_is_well_formed_and_needs_nothing_from_outside() -> None:
    page = render_page(REPORT, ILLUSTRATIONS)
    assert_well_formed(page)
    assert_loads_nothing(page)


def test_the_page_says_what_was_measured() -> None:
    text = text_of(render_page(REPORT, ILLUSTRATIONS))
    for expected in (
        "Worth it",
        "0.52 of float",
        "61.21 &rarr; 61.11",
        "99.34%",
        "8.96 &rarr; 2.84 MB",
        "stages.1 &lt;attention&gt; 21.5 dB",
        "float: reverted by the search for accuracy",
        "Road &amp; path 80.00 81.00 +1.00",
        "3 DequantizeLinear, 1 Transpose; each has a reason.",
        "softmax over tokens",
        "stem/Conv 24.0 dB, 0.100% clipped",
        "for accuracy 0.40 &rarr; 0.10 points kept",
        "Only 12 usable pictures.",
        "street 7.png, 98.10% agree",
    ):
        assert expected in text


def test_classes_that_do_not_occur_are_left_out_of_the_table() -> None:
    assert "<td>Nothing</td>" not in render_page(REPORT, ILLUSTRATIONS)


def test_what_there_is_to_say_about_the_labels_stands_beside_the_verdict() -> None:
    page = render_page(dataclasses.replace(REPORT, notes=("Try `label_offset=-1`.",)), ILLUSTRATIONS)
    assert "<li>Try <code>label_offset=-1</code>.</li>" in page


def test_validation_pictures_that_could_not_be_used_are_named() -> None:
    report = dataclasses.replace(REPORT, failures=(Failure(Path("a.png"), "a.png: is <empty>"),))
    assert "a.png: is &lt;empty&gt;" in render_page(report, ILLUSTRATIONS)


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({}, "Worth it"),
        ({"ratio": 1.2}, "Not worth it: no model was written"),
        ({"ratio": 1.2, "allow_slower": True}, "Accepted as asked for"),
    ],
)
def test_the_verdict_stands_on_top(change: dict[str, object], title: str) -> None:
    verdict = dataclasses.replace(REPORT.verdict, **change)  # type: ignore[arg-type]
    text = text_of(render_page(dataclasses.replace(REPORT, verdict=verdict), ILLUSTRATIONS))
    assert title in text
    assert text.index(title) < text.index("Latency")


def test_without_labels_the_page_says_what_takes_their_place() -> None:
    before = dataclasses.replace(REPORT.before, accuracy=accuracy(None, (1.0, 1.0, math.nan)))
    after = dataclasses.replace(REPORT.after, accuracy=accuracy(None, (0.99, 0.98, math.nan)))
    text = text_of(render_page(dataclasses.replace(REPORT, before=before, after=after), ILLUSTRATIONS))
    assert "There were no labels" in text
    assert "points, against the labels" not in text


def test_a_report_of_nothing_left_to_say_is_a_page_all_the_same() -> None:
    empty = dataclasses.replace(
        REPORT, units=(), float_nodes=(), conversions=(), tensors=(), search=SearchLog(1, True, ())
    )
    text = text_of(render_page(empty, Illustrations({}, (), ())))
    assert "1 candidate scored; the budget ended the search." in text


def test_parameters_in_advice_are_code() -> None:
    slow = dataclasses.replace(REPORT, verdict=dataclasses.replace(REPORT.verdict, ratio=1.2))
    assert "<code>allow_slower</code>" in render_page(slow, ILLUSTRATIONS)


def test_long_tables_and_lists_are_folded() -> None:
    units = tuple(dataclasses.replace(REPORT.units[0], name=f"unit {number}") for number in range(15))
    page = render_page(dataclasses.replace(REPORT, units=units), ILLUSTRATIONS)
    assert "<summary>3 more</summary>" in page
    assert "<code>a/Softmax</code> and 3 more</summary>" in page


def test_the_report_is_written_beside_the_model(tmp_path: Path) -> None:
    write(REPORT, ILLUSTRATIONS, tmp_path / "model.int8.onnx")
    assert (tmp_path / "model.int8.report.json").read_text(encoding="utf-8") == REPORT.to_json()
    assert (tmp_path / "model.int8.report.html").read_text(encoding="utf-8") == render_page(REPORT, ILLUSTRATIONS)

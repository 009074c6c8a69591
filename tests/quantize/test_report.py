from __future__ import annotations

import dataclasses
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from afformer.quantize.accuracy import Accuracy
from afformer.quantize.charts import Sample
from afformer.quantize.page import Visuals, render, write_page
from afformer.quantize.report import (
    CalibrationNotes,
    Conversions,
    FloatNodes,
    Layer,
    Measured,
    QuantizeReport,
    SearchNotes,
    Speed,
    TensorNoise,
    write_json,
)
from afformer.quantize.search import Step, Why
from afformer.quantize.verdict import Bargain

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def accuracy(miou: float | None, iou: tuple[float, ...]) -> Accuracy:
    return Accuracy(0.9934, Path("street 7.png"), 0.981, miou, iou, 12)


REPORT = QuantizeReport(
    target="x86",
    written=True,
    classes=("Sky", "Road & path", "Nothing"),
    input_hw=(360, 480),
    bargain=Bargain(drop=0.1, measure="mIoU", max_drop=0.2, agreement=0.9934, ratio=0.52),
    before=Measured(Path("float.onnx"), 8_960_000, 0.030, accuracy(0.6121, (0.91, 0.8, math.nan))),
    after=Measured(Path("int8.onnx"), 2_840_000, 0.0156, accuracy(0.6111, (0.90, 0.81, math.nan))),
    speed=Speed(0.52, 0.50, 0.55, "ONNX Runtime 1.31.1, cpu"),
    calibration=CalibrationNotes("average", 12, Path("int8.ranges.json"), "calibrated", ("Only 12 usable pictures.",)),
    layers=(
        Layer("stages.1 <attention>", ("q", "k", "v", "out"), 21.5, "reverted by the search for accuracy"),
        Layer("stem", ("stem.0",), math.inf, None),
    ),
    float_nodes=(FloatNodes("softmax over tokens", ("a/Softmax", "b/Softmax", "c/Softmax", "d/Softmax")),),
    conversions=(
        Conversions("DequantizeLinear", "attention runs in float", ("x", "y")),
        Conversions("Transpose", "channels first for attention", ("x",)),
        Conversions("DequantizeLinear", "the model's output", ("logits",)),
    ),
    tensors=(
        TensorNoise("conv2d_7", "stem/Conv", -3.0, 4.0, 0.001, 24.0),
        TensorNoise("add", "stem/Add", 0.0, 1.0, 0.0, 40.0),
    ),
    search=SearchNotes(5, False, (Step(("stages.1 <attention>",), True, Why.ACCURACY, 0.4, 0.1, True),)),
    seconds=61.0,
)
VISUALS = Visuals(
    {"conv2d_7": '<svg viewBox="0 0 1 1"></svg>'}, (Sample("street 7.png", 0.981, (("float", PIXEL), ("INT8", PIXEL))),)
)


class Balance(HTMLParser):
    """Fails on a tag that is closed out of order or never."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another one"


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


def test_json_holds_the_verdict_and_every_figure() -> None:
    fields = json.loads(REPORT.to_json())
    assert fields["verdict"]["success"] is True
    assert fields["before"]["accuracy"]["miou"] == 0.6121
    assert fields["speed"]["ratio"] == 0.52
    assert fields["layers"][0]["sqnr_db"] == 21.5
    assert fields["search"]["steps"][0]["why"] == "accuracy"


def test_numbers_that_json_cannot_hold_become_null() -> None:
    fields = json.loads(REPORT.to_json())
    assert fields["layers"][1]["sqnr_db"] is None
    assert fields["before"]["accuracy"]["per_class_iou"][2] is None


def test_json_is_written(tmp_path: Path) -> None:
    write_json(REPORT, tmp_path / "report.json")
    assert (tmp_path / "report.json").read_text() == REPORT.to_json()


def test_conversions_are_counted_over_their_reasons() -> None:
    assert (REPORT.count("DequantizeLinear"), REPORT.count("Transpose"), REPORT.count("QuantizeLinear")) == (3, 1, 0)


def test_the_summary_says_accuracy_speed_size_and_warnings() -> None:
    lines = REPORT.summary().splitlines()
    assert lines[0].startswith("Within the drop")
    assert lines[1].startswith("Faster than float: 0.52")
    assert lines[2:] == ["Size 8.96 MB -> 2.84 MB.", "Only 12 usable pictures."]


def test_the_page_is_well_formed() -> None:
    balance = Balance()
    balance.feed(render(REPORT, VISUALS))
    assert balance.open == []


def test_the_page_needs_nothing_from_outside() -> None:
    page = render(REPORT, VISUALS)
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http" not in page
    assert "url(" not in page
    assert "<script" not in page


def test_the_page_says_what_was_measured() -> None:
    text = text_of(render(REPORT, VISUALS))
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
        "0.40 &rarr; 0.10 points kept",
        "Only 12 usable pictures.",
        "street 7.png, 98.10% agree",
    ):
        assert expected in text


def test_classes_that_do_not_occur_are_left_out_of_the_page() -> None:
    assert "Nothing" not in render(REPORT, VISUALS)


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({}, "Worth it"),
        ({"ratio": 1.2}, "Not worth it: no model was written"),
        ({"ratio": 1.2, "allow_slower": True}, "Accepted as asked for"),
    ],
)
def test_the_verdict_stands_on_top(change: dict[str, object], title: str) -> None:
    bargain = dataclasses.replace(REPORT.bargain, **change)  # type: ignore[arg-type]
    text = text_of(render(dataclasses.replace(REPORT, bargain=bargain), VISUALS))
    assert title in text
    assert text.index(title) < text.index("Latency")


def test_without_labels_the_page_says_what_takes_their_place() -> None:
    before = dataclasses.replace(REPORT.before, accuracy=accuracy(None, (1.0, 1.0, math.nan)))
    after = dataclasses.replace(REPORT.after, accuracy=accuracy(None, (0.99, 0.98, math.nan)))
    text = text_of(render(dataclasses.replace(REPORT, before=before, after=after), VISUALS))
    assert "There were no labels" in text
    assert "points, against the labels" not in text


def test_a_report_of_nothing_left_to_say_is_a_page_all_the_same() -> None:
    empty = dataclasses.replace(
        REPORT, layers=(), float_nodes=(), conversions=(), tensors=(), search=SearchNotes(1, True, ())
    )
    text = text_of(render(empty, Visuals({}, ())))
    assert "1 candidate scored; its budget ended it." in text


def test_the_page_is_written(tmp_path: Path) -> None:
    write_page(REPORT, VISUALS, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(REPORT, VISUALS)

from __future__ import annotations

import dataclasses
import json
import math

from tests.builders.quantize_report import REPORT, accuracy


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


def test_the_keys_of_the_file_format_stay() -> None:
    fields = json.loads(REPORT.to_json())
    assert list(fields) == [
        "verdict", "target", "written", "classes", "input_hw", "bargain", "before", "after", "speed", "calibration",
        "layers", "float_nodes", "conversions", "tensors", "search", "seconds", "failures",
        "notes", "losses",
    ]  # fmt: skip
    assert list(fields["speed"]) == ["ratio", "ratio_low", "ratio_high", "engine"]
    assert list(fields["calibration"]) == ["method", "pictures", "cache", "source", "warnings"]
    assert list(fields["search"]) == ["evaluations", "exhausted", "steps"]
    assert fields["bargain"]["measure"] == "mIoU"


def test_conversions_are_counted_over_their_reasons() -> None:
    assert (REPORT.count("DequantizeLinear"), REPORT.count("Transpose"), REPORT.count("QuantizeLinear")) == (3, 1, 0)


def test_the_summary_says_accuracy_speed_size_and_warnings() -> None:
    lines = REPORT.summary().splitlines()
    assert lines[0].startswith("Within the drop")
    assert lines[1] == "Classes that lose most IoU against the labels: Sky 1.0 points (91.0% -> 90.0%)."
    assert lines[2].startswith("Faster than float: 0.52")
    assert lines[3:] == ["Size 8.96 MB -> 2.84 MB.", "Only 12 usable pictures."]


def test_the_classes_that_lose_most_are_listed_the_worst_first() -> None:
    before, after = (0.9, 0.8, 0.7, 0.6, math.nan), (0.88, 0.7999, 0.6, 0.65, math.nan)
    report = dataclasses.replace(
        REPORT,
        classes=tuple("abcde"),
        before=dataclasses.replace(REPORT.before, accuracy=accuracy(None, before)),
        after=dataclasses.replace(REPORT.after, accuracy=accuracy(None, after)),
    )
    assert [change.name for change in report.losses()] == ["c", "a"]
    assert report.losses_sentence().startswith(
        "Classes that lose most IoU against the float model's class maps: c 10.0"
    )
    assert [loss["name"] for loss in json.loads(report.to_json())["losses"]] == ["c", "a"]
    none = dataclasses.replace(report, after=report.before)
    assert none.losses_sentence() == ""
    assert none.losses_sentence() not in none.summary().splitlines()

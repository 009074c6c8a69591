from __future__ import annotations

import json

from tests.builders.quantize_report import REPORT


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
        "layers", "float_nodes", "conversions", "tensors", "search", "seconds",
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
    assert lines[1].startswith("Faster than float: 0.52")
    assert lines[2:] == ["Size 8.96 MB -> 2.84 MB.", "Only 12 usable pictures."]

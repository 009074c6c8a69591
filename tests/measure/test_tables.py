from __future__ import annotations

import math
from pathlib import Path

from afformer.measure.pictures import Failure
from afformer.measure.results import Evaluation
from afformer.measure.tables import aligned, milliseconds, percent, plain, summarised


def test_columns_are_aligned_to_the_right_but_for_names() -> None:
    assert aligned([["model", "ms"], ["a", "10"], ["bcdefg", "5"]], left=("model",)) == [
        "model   ms",
        "----------",
        "a       10",
        "bcdefg   5",
    ]


def test_a_summary_of_nothing_has_one_rule() -> None:
    assert summarised([("class", "IoU")], [("mean", "-")]).splitlines() == ["class  IoU", "----------", "mean     -"]


def test_a_share_that_is_not_known_is_a_dash() -> None:
    assert (percent(math.nan), percent(0.5), percent(0.12345, 3)) == ("-", "50.0", "12.345")


def test_plain_data_has_no_nan_and_no_paths() -> None:
    failure = Failure(Path("a.png"), "is empty")
    found = Evaluation(math.nan, {"road": 1.0, "car": math.nan}, 0.5, 3, (failure,))
    assert plain(found) == {
        "miou": None,
        "per_class_iou": {"road": 1.0, "car": None},
        "pixel_accuracy": 0.5,
        "pictures": 3,
        "notes": [],
        "failures": [{"picture": "a.png", "reason": "is empty"}],
    }


def test_milliseconds_have_three_digits() -> None:
    assert [milliseconds(seconds) for seconds in (0.00012345, 0.0123, 0.1, 1.2345)] == ["0.123", "12.3", "100", "1234"]

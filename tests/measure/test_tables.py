from __future__ import annotations

import math

from afformer.measure.tables import aligned, milliseconds, or_none, percent, summarised


def test_columns_are_aligned_to_the_right_but_for_names() -> None:
    assert aligned([["model", "ms"], ["a", "10"], ["bcdefg", "5"]], left=("model",)) == [
        "model   ms",
        "----------",
        "a       10",
        "bcdefg   5",
    ]


def test_a_summary_of_nothing_has_one_rule() -> None:
    assert summarised([("class", "IoU")], [("mean", "-")]).splitlines() == ["class  IoU", "----------", "mean     -"]


def test_numbers_that_are_not_there_are_a_dash_and_null() -> None:
    assert (percent(math.nan), or_none(math.nan)) == ("-", None)
    assert (percent(0.5), percent(0.12345, 3), or_none(0.5)) == ("50.0", "12.345", 0.5)


def test_milliseconds_have_three_digits() -> None:
    assert [milliseconds(seconds) for seconds in (0.00012345, 0.0123, 0.1, 1.2345)] == ["0.123", "12.3", "100", "1234"]

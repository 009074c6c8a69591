from __future__ import annotations

import math

import jinja2
import pytest

from afformer.html.page import code_spans, decibels, percent, render


def test_shares_are_in_percent_and_what_is_unknown_is_a_dash() -> None:
    assert [percent(0.99341), percent(0.5, 0), percent(math.nan)] == ["99.34", "50", "-"]


def test_no_noise_is_said_in_words() -> None:
    assert [decibels(21.46), decibels(math.inf)] == ["21.5\N{NO-BREAK SPACE}dB", "none"]


def test_words_between_backticks_become_code_and_the_rest_is_escaped() -> None:
    assert code_spans("raise `max_drop` if <b>") == "raise <code>max_drop</code> if &lt;b&gt;"


def test_a_value_that_the_template_lacks_is_an_error_and_no_gap() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("quantize/report/histogram.svg.jinja")

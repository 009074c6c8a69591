from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from afformer.html.page import render
from afformer.quantize.histogram import Histogram
from afformer.quantize.ranges import Range
from afformer.quantize.report.histograms import chart


def svg(values: npt.ArrayLike, kept: Range) -> ET.Element:
    histogram = Histogram()
    histogram.add(np.asarray(values, np.float32))
    drawn = chart(histogram, kept, 'a "title" <of> it')
    return ET.fromstring(render("quantize/report/histogram.svg.jinja", chart=drawn))


def test_what_is_clipped_has_another_colour() -> None:
    drawn = svg(np.append(np.random.default_rng(0).uniform(-1, 1, 5000), 8), Range(-1, 1))
    kinds = [bar.get("class") for bar in drawn.iter("rect")]
    assert kinds.count("out") == 1
    assert kinds[-1] == "out"
    assert kinds.count("in") > 10


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1), st.floats(-1e6, 0), st.floats(0, 1e6))
def test_every_drawing_is_well_formed_and_stays_inside_its_frame(values: list[float], low: float, high: float) -> None:
    drawn = svg(values, Range(low, high))
    for bar in drawn.iter("rect"):
        x, y, width, height = (float(bar.get(key, "nan")) for key in ("x", "y", "width", "height"))
        assert -1 <= x <= x + width <= 361
        assert 0 <= y <= y + height <= 110
    for line in drawn.iter("line"):
        assert -1 <= float(line.get("x1", "nan")) <= 361

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from afformer.train.curve import Check, curve_svg

SVG = "{http://www.w3.org/2000/svg}"


def check(epoch: float, loss: float, miou: float) -> Check:
    return Check(int(epoch * 10), epoch, epoch, loss, miou, miou, {"sky": miou, "moon": math.nan})


def test_the_plot_has_a_point_a_check_and_says_where_the_run_ended() -> None:
    text = curve_svg([check(1, 2.0, 0.2), check(2, 1.0, 0.5), check(4, 0.5, 0.61)], "a & b.pth")
    svg = ET.fromstring(text)
    dots = list(svg.iter(f"{SVG}circle"))
    assert len(dots) == 6
    for line in (dots[:3], dots[3:]):
        places = [float(dot.attrib["cx"]) for dot in line]
        assert places[1] - places[0] == pytest.approx((places[2] - places[1]) / 2, abs=0.2)
    loss, miou = ([float(dot.attrib["cy"]) for dot in line] for line in (dots[:3], dots[3:]))
    assert loss == sorted(loss)
    assert miou == sorted(miou, reverse=True)
    words = " ".join(svg.itertext())
    assert "loss 0.500" in words
    assert "val mIoU 61.0" in words
    assert "a & b.pth" in words


def test_a_single_check_is_a_plot_as_well() -> None:
    assert ET.fromstring(curve_svg([check(1, 0.0, 0.0)], "")).tag == f"{SVG}svg"


def test_a_class_that_does_not_occur_is_null_in_json() -> None:
    assert check(1, 1, 0.5).to_json()["per_class_iou"] == {"sky": 0.5, "moon": None}

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET

import cv2
import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from afformer.quantize.charts import data_uri, histogram_svg, sample
from afformer.quantize.histogram import Histogram
from afformer.quantize.ranges import Range

PALETTE = ((0, 0, 0), (0, 200, 0))


def svg(values: npt.ArrayLike, kept: Range) -> ET.Element:
    histogram = Histogram()
    histogram.add(np.asarray(values, np.float32))
    return ET.fromstring(histogram_svg(histogram, kept, 'a "title" <of> it'))


def decoded(uri: str) -> npt.NDArray[np.uint8]:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


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


def test_a_picture_survives_its_uri() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(data_uri(image)), image)


def test_a_sample_shows_both_class_maps_and_marks_what_differs() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    first = np.zeros((40, 60), np.uint8)
    second = first.copy()
    second[3, 5] = 1
    shown = sample("a.png", image, (first, second), PALETTE)
    assert shown.agreement == 1 - 1 / 2400
    assert [caption for caption, _ in shown.images] == ["float", "INT8", "0.04% differ"]
    (float_map, int8_map, marked) = (decoded(uri) for _, uri in shown.images)
    assert np.argwhere((float_map != int8_map).any(axis=2)).tolist() == [[3, 5]]
    assert np.argwhere((marked == (255, 0, 160)).all(axis=2)).tolist() == [[3, 5]]


def test_a_single_differing_pixel_is_still_marked_in_a_picture_that_was_shrunk() -> None:
    image = np.zeros((1000, 2000, 3), np.uint8)
    first = np.zeros((1000, 2000), np.uint8)
    second = first.copy()
    second[501, 1403] = 1
    marked = decoded(sample("big.png", image, (first, second), PALETTE).images[2][1])
    assert marked.shape == (240, 480, 3)
    assert (marked == (255, 0, 160)).all(axis=2).any()

from __future__ import annotations

import base64

import cv2
import numpy as np
import numpy.typing as npt

from afformer.html.pictures import data_uri, difference

PALETTE = ((0, 0, 0), (0, 200, 0))


def decoded(uri: str) -> npt.NDArray[np.uint8]:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def test_a_picture_survives_its_uri() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(data_uri(image)), image)


def test_both_class_maps_are_shown_and_what_differs_is_marked() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    first = np.zeros((40, 60), np.uint8)
    second = first.copy()
    second[3, 5] = 1
    shown = difference("a.png", image, {"float": first, "INT8": second}, PALETTE)
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
    marked = decoded(difference("big.png", image, {"float": first, "INT8": second}, PALETTE).images[2][1])
    assert marked.shape == (240, 480, 3)
    assert (marked == (255, 0, 160)).all(axis=2).any()

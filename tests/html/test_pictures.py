from __future__ import annotations

import base64

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from afformer.html.pictures import Illustrator, data_uri, photo_uri

SHOWN = Illustrator(("night", "day"), ((0, 0, 0), (0, 200, 0)))


def decoded(uri: str) -> npt.NDArray[np.uint8]:
    head, _, data = uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def marks(uri: str) -> list[list[int]]:
    return np.argwhere((decoded(uri) == (255, 0, 160)).all(axis=2)).tolist()


def test_a_picture_survives_its_uri() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(data_uri(image)), image)


def test_a_photo_keeps_its_colours_in_a_smaller_file() -> None:
    image = np.full((60, 80, 3), (200, 30, 90), np.uint8)
    image[:, 40:] = (20, 180, 240)
    assert np.abs(decoded(photo_uri(image)).astype(int) - image).max() < 12


def test_the_picture_and_both_class_maps_are_shown_and_what_differs_is_marked() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    first = np.zeros((40, 60), np.uint8)
    second = first.copy()
    second[3, 5] = 1
    found = SHOWN.difference("a.png", image, {"float": first, "INT8": second})
    assert found.agreement == 1 - 1 / 2400
    assert [caption for caption, _ in found.images] == ["picture", "float", "INT8", "0.04% differ"]
    (picture, float_map, int8_map, _) = (decoded(uri).astype(int) for _, uri in found.images)
    assert np.abs(picture - image).max() < 4
    changed = np.argwhere(np.abs(float_map - int8_map).max(axis=2) > 40)
    assert changed.min(axis=0).tolist() >= [0, 0]
    assert np.abs(changed - (3, 5)).max() <= 8  # a block of JPEG
    assert marks(found.images[3][1]) == [[3, 5]]


def test_pixels_without_a_label_are_neither_painted_nor_compared() -> None:
    image = np.full((40, 60, 3), (10, 120, 250), np.uint8)
    label = np.zeros((40, 60), np.uint8)
    label[:, 30:] = 255
    answer = np.ones((40, 60), np.uint8)
    found = SHOWN.difference("a.png", image, {"label": label, "answer": answer})
    assert found.agreement == 0
    assert {column for _, column in marks(found.images[3][1])} == set(range(30))
    drawn = decoded(found.images[1][1]).astype(int)
    assert np.abs(drawn[:, 40:] - image[:, 40:]).max() < 8
    assert np.abs(drawn[:, :20] - image[:, :20]).max() > 40


def test_a_single_differing_pixel_is_still_marked_in_a_picture_that_was_shrunk() -> None:
    image = np.zeros((1000, 2000, 3), np.uint8)
    first = np.zeros((1000, 2000), np.uint8)
    second = first.copy()
    second[501, 1403] = 1
    marked = SHOWN.difference("big.png", image, {"float": first, "INT8": second}).images[3][1]
    assert decoded(marked).shape == (240, 480, 3)
    assert marks(marked)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_class_maps_may_be_of_any_integer_type(dtype: type[np.integer]) -> None:
    image = np.full((1000, 1400, 3), 128, np.uint8)
    first = np.zeros((1000, 1400), dtype)
    second = first.copy()
    second[:, 700:] = 1
    images = SHOWN.difference("a.png", image, {"A": first, "B": second}).images
    drawn = decoded(images[2][1]).astype(int)
    assert np.abs(drawn[50:300, 20:200].mean((0, 1)) - drawn[50:300, 280:460].mean((0, 1))).max() > 40
    assert {column >= 240 for _, column in marks(images[3][1])} == {True}


def test_a_very_tall_picture_is_shrunk_as_well() -> None:
    flat = np.zeros((6400, 100), np.uint8)
    found = SHOWN.difference("tall.png", np.zeros((6400, 100, 3), np.uint8), {"A": flat, "B": flat})
    assert [decoded(uri).shape for _, uri in found.images] == [(640, 10, 3)] * 4


def test_the_legend_names_the_colours_that_were_painted_and_no_others() -> None:
    shown = Illustrator(("night", "day", "fog"), ((0, 0, 0), (0, 200, 0), (200, 200, 200)))
    before, half = shown.legend, np.ones((40, 60), np.uint8)
    found = shown.difference("a.png", np.full((40, 60, 3), 128, np.uint8), {"A": half, "B": half})
    assert (len(before), [name for name, _ in shown.legend]) == (0, ["day"])
    assert int(np.argmax(decoded(found.images[1][1])[20, 5])) == int(np.argmax(shown.legend[0][1]))

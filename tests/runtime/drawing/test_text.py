"""Text on pictures."""

from __future__ import annotations

import concurrent.futures

import numpy as np
import pytest

from afformer.runtime.drawing.text import BOLD, Sprite, width_of, writable, write


@pytest.mark.parametrize("name", ["Pedestrian", "Straße", "Дорога", "道路", "하늘"])
def test_names_in_many_scripts_are_drawn_within_their_width(name: str) -> None:
    picture = np.zeros((40, 300, 3), np.uint8)
    write(picture, (50, 20), name, 20, weight=BOLD)
    columns = np.flatnonzero(picture.any(axis=(0, 2)))
    assert 48 <= columns.min() <= 54
    assert abs(columns.max() + 1 - 50 - width_of(name, 20, BOLD)) <= 4
    assert writable([name]) == (name,)


def test_a_line_of_text_is_centred_from_the_highest_letter_to_the_lowest() -> None:
    picture = np.zeros((60, 80, 3), np.uint8)
    write(picture, (5, 30), "Hg", 40)
    rows = np.flatnonzero(picture.any(axis=(1, 2)))
    assert abs((rows.min() + rows.max()) / 2 - 30) <= 2


def test_names_that_cannot_be_written_are_replaced_by_their_number() -> None:
    assert writable(["road", "नमस्ते", "what?"]) == ("road", "class 1", "what?")


def test_white_letters_with_a_dark_halo_are_seen_on_any_ground() -> None:
    sprite = Sprite.of("Car", 20)
    width, height = sprite.size_wh
    for ground in (0, 128, 255):
        picture = np.full((height + 10, width + 10, 3), ground, np.uint8)
        sprite.put(picture, 5, 5)
        assert picture.max() > 250
        assert picture.min() < 30
        inner = picture[5:-5, 5:-5].copy()
        picture[5:-5, 5:-5] = ground
        assert (picture == ground).all()
        assert (inner[:, 0] == ground).all()


def test_text_is_the_same_from_many_threads() -> None:
    names = [f"class {i}" for i in range(8)] * 8
    expected = [Sprite.of(name, 24).ink for name in names]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda name: Sprite.of(name, 24).ink, names))
    assert all(np.array_equal(one, other) for one, other in zip(drawn, expected, strict=True))

"""The rule of temporal smoothing, on single pixels and on whole maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afformer.images import ClassMap
from afformer.streams.smoothing import LONGEST, Smoothing


def smoothed(classes: str, frames: int) -> str:
    """What one pixel shows, frame by frame; classes are digits."""
    smoothing = Smoothing(frames)
    return "".join(str(smoothing(np.array([[int(c)]], np.uint8))[0, 0]) for c in classes)


@pytest.mark.parametrize(
    ("seen", "shown"),
    [
        ("0100110", "0000000"),
        ("0001110", "0000011"),
        ("00111111", "00001111"),
        ("0012121", "0000111"),
        ("0110110111", "0000000001"),
    ],
)
def test_a_pixel_changes_after_three_frames_in_a_row_of_something_else(seen: str, shown: str) -> None:
    assert smoothed(seen, 3) == shown


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 6))
def test_every_map_follows_the_rule_pixel_by_pixel(classes: list[int], frames: int) -> None:
    smoothing = Smoothing(frames)
    shown, streak = classes[0], 0
    for class_id in classes:
        streak = streak + 1 if class_id != shown else 0
        if streak >= frames:
            shown, streak = class_id, 0
        assert (smoothing(np.full((2, 3), class_id, np.uint8)) == shown).all()


def test_one_frame_is_no_smoothing() -> None:
    assert smoothed("0120", 1) == "0120"


def test_class_ids_of_all_sizes_survive_the_arithmetic() -> None:
    for dtype, high in ((np.uint8, 255), (np.int32, 70_000)):
        smoothing = Smoothing(2)
        maps: list[ClassMap] = [np.array([[0, high, high]], dtype), np.array([[high, 0, high]], dtype)]
        assert smoothing(maps[0]).tolist() == [[0, high, high]]
        assert smoothing(maps[1]).tolist() == [[0, high, high]]
        assert smoothing(maps[1]).tolist() == [[high, 0, high]]
        assert smoothing(maps[1]).dtype == dtype


def test_what_comes_in_is_not_changed_and_nothing_is_allocated_a_frame() -> None:
    smoothing, seen = Smoothing(2), np.zeros((2, 2), np.uint8)
    first = smoothing(seen)
    seen[:] = 1
    assert smoothing(seen) is first
    assert (seen == 1).all()


def test_another_size_starts_anew() -> None:
    smoothing = Smoothing(5)
    smoothing(np.zeros((2, 2), np.uint8))
    assert (smoothing(np.ones((3, 2), np.uint8)) == 1).all()
    smoothing.reset()
    assert (smoothing(np.zeros((3, 2), np.uint8)) == 0).all()


def test_the_longest_streak_can_be_counted() -> None:
    assert smoothed("0" + "1" * LONGEST, LONGEST) == "0" * LONGEST + "1"


@pytest.mark.parametrize("frames", [0, -1, 256])
def test_other_numbers_of_frames_are_refused(frames: int) -> None:
    with pytest.raises(ValueError, match="1 to 255"):
        Smoothing(frames)

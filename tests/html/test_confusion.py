from __future__ import annotations

import numpy as np

from afformer.html.confusion import confusion_table

COUNTS = np.array([[90, 10, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]], np.int64)
CLASSES = ("road", "car", "sky", "tree")


def test_shares_are_of_the_row_and_classes_that_do_not_occur_are_left_out() -> None:
    found = confusion_table(COUNTS, CLASSES)
    assert found.names == ("road", "car", "tree")
    assert [[cell.share for cell in row] for row in found.rows] == [[0.9, 0.1, 0], [1, 0, 0], [0, 1, 0]]
    assert [[cell.right for cell in row] for row in found.rows] == np.eye(3, dtype=bool).tolist()


def test_mistakes_come_by_number_of_pixels_with_their_share_of_the_true_class() -> None:
    found = confusion_table(COUNTS, CLASSES).mistakes
    assert [(m.truth, m.predicted, m.pixels, m.share) for m in found] == [
        ("road", "car", 10, 0.1),
        ("car", "road", 5, 1.0),
        ("tree", "car", 1, 1.0),
    ]


def test_a_class_that_is_only_predicted_has_an_empty_row() -> None:
    found = confusion_table(np.array([[0, 4], [0, 0]], np.int64), ("a", "b"))
    assert [[cell.pixels for cell in row] for row in found.rows] == [[0, 4], [0, 0]]


def test_of_many_classes_the_most_frequent_are_shown_and_the_others_together() -> None:
    counts = np.diag(np.arange(1, 151)).astype(np.int64)
    counts[149, 0] = 7
    found = confusion_table(counts, [f"class {index}" for index in range(150)])
    assert found.names == (*(f"class {index}" for index in range(127, 150)), "all others")
    assert sum(cell.pixels for row in found.rows for cell in row) == counts.sum()
    assert found.rows[22][23].pixels == 7
    assert [(mistake.truth, mistake.predicted) for mistake in found.mistakes] == [("class 149", "class 0")]


def test_nothing_counted_is_an_empty_table() -> None:
    found = confusion_table(np.zeros((3, 3), np.int64), ("a", "b", "c"))
    assert (found.names, found.rows, found.mistakes) == ((), (), ())

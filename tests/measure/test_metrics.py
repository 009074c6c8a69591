"""Metrics on examples that can be checked by hand, and their properties."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from afformer.measure.metrics import ConfusionMatrix, error_norms, pixel_agreement

CLASSES = 4
SIZE = (6, 7)
predictions = arrays(np.uint8, SIZE, elements=st.integers(0, CLASSES - 1))
truths = arrays(np.uint8, SIZE, elements=st.sampled_from([*range(CLASSES), 255]))


def confusion(truth: Any, predicted: Any, classes: int = CLASSES) -> ConfusionMatrix:
    matrix = ConfusionMatrix(classes)
    matrix.add(np.array(truth, np.uint8), np.array(predicted, np.uint8))
    return matrix


def test_a_small_example_counts_as_by_hand() -> None:
    matrix = confusion([[0, 0, 1, 1, 255]], [[0, 1, 1, 1, 0]])
    assert matrix.counts[:2, :2].tolist() == [[1, 1], [0, 2]]
    assert matrix.per_class_iou[:2].tolist() == [1 / 2, 2 / 3]
    assert matrix.miou == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert matrix.pixel_accuracy == 3 / 4


def test_a_class_that_occurs_nowhere_is_nan_and_not_in_the_mean() -> None:
    matrix = confusion([[0, 1]], [[0, 1]])
    assert np.isnan(matrix.per_class_iou).tolist() == [False, False, True, True]
    assert matrix.miou == 1.0


def test_a_class_that_is_only_predicted_has_iou_zero_and_is_in_the_mean() -> None:
    assert confusion([[0, 0]], [[0, 3]]).miou == pytest.approx((1 / 2 + 0) / 2)


def test_nothing_counted_gives_nan() -> None:
    matrix = confusion([[255, 255]], [[0, 1]])
    assert math.isnan(matrix.miou)
    assert math.isnan(matrix.pixel_accuracy)


@given(truths, predictions)
def test_the_matrix_is_what_counting_pixel_by_pixel_gives(
    truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8]
) -> None:
    expected = np.zeros((CLASSES, CLASSES), int)
    for t, p in zip(truth.flat, predicted.flat, strict=True):
        if t != 255:
            expected[t, p] += 1
    assert (confusion(truth, predicted).counts == expected).all()


@given(truths, predictions, st.integers(1, 5))
def test_pictures_may_be_added_in_pieces(
    truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], rows: int
) -> None:
    pieces = ConfusionMatrix(CLASSES)
    pieces.add(truth[:rows], predicted[:rows])
    pieces.add(truth[rows:], predicted[rows:])
    assert (pieces.counts == confusion(truth, predicted).counts).all()


@pytest.mark.parametrize("classes", [1, 171, 255])
def test_every_class_count_up_to_255_leaves_255_to_be_ignored(classes: int) -> None:
    ids = np.arange(classes, dtype=np.uint8)
    matrix = confusion([*ids, 255], [*ids, 0], classes)
    assert (matrix.counts == np.eye(classes)).all()


def test_without_an_ignored_value_any_number_of_classes_can_be_counted() -> None:
    ids = np.arange(1000, dtype=np.int32)
    matrix = ConfusionMatrix(1000, ignore=None)
    matrix.add(ids, ids)
    assert matrix.miou == 1.0


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([[0]], [[4]], "predicted classes must be 0..3"),
        ([[4]], [[0]], "true classes must be 0..3 or 255"),
        ([[0, 1]], [[0]], "one shape"),
    ],
)
def test_ids_that_are_no_classes_and_shapes_that_differ_are_refused(truth: Any, predicted: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion(truth, predicted)


@pytest.mark.parametrize("classes", [0, 256])
def test_a_class_count_that_cannot_be_counted_is_refused(classes: int) -> None:
    with pytest.raises(ValueError, match=f"got {classes} classes"):
        ConfusionMatrix(classes)


def test_pixel_agreement_is_the_share_of_equal_pixels() -> None:
    assert pixel_agreement(np.array([[1, 2, 3, 4]]), np.array([[1, 2, 3, 0]])) == 0.75


def test_pixel_agreement_of_different_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        pixel_agreement(np.zeros((2, 2), int), np.zeros((2, 3), int))


def test_error_norms_of_a_small_example() -> None:
    norms = error_norms(np.array([3.0, -4.0]), np.array([3.0, -3.0]))
    assert norms.max_abs == 1.0
    assert norms.max_relative == 0.25
    assert norms.cosine == pytest.approx(21 / (5 * 18**0.5))


def test_equal_tensors_have_no_error_even_if_all_zero() -> None:
    for reference in (np.zeros(3), np.array([1.0, 2.0])):
        norms = error_norms(reference, reference)
        assert (norms.max_abs, norms.max_relative) == (0.0, 0.0)
        assert norms.cosine == pytest.approx(1.0)


def test_something_in_place_of_zeros_is_infinitely_wrong() -> None:
    norms = error_norms(np.zeros(2), np.ones(2))
    assert (norms.max_abs, norms.max_relative, norms.cosine) == (1.0, math.inf, 0.0)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_value_that_is_not_finite_never_passes_a_tolerance(broken: float) -> None:
    norms = error_norms(np.array([1.0, 2.0], np.float32), np.array([1.0, broken], np.float32))
    assert not norms.max_abs <= 1e9
    assert not norms.max_relative <= 1e9
    assert not norms.cosine >= 0.0

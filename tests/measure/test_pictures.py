from __future__ import annotations

from pathlib import Path

from afformer.measure.pictures import PictureScore, best_pictures, worst_pictures


def scores(*values: float) -> list[PictureScore]:
    return [PictureScore(Path(f"{index}.png"), value) for index, value in enumerate(values)]


def test_only_a_few_of_many_pictures_are_named_from_the_ends() -> None:
    many = scores(*(index * 7 % 1000 / 1000 for index in range(1000)))
    assert [score.score for score in worst_pictures(many)] == [0, 0.001, 0.002, 0.003, 0.004]
    assert [score.score for score in best_pictures(many)] == [0.999, 0.998, 0.997, 0.996, 0.995]


def test_no_picture_is_among_the_best_and_the_worst() -> None:
    few = scores(0.5, 0.1, 0.9, 0.3, 0.7, 0.6, 0.8)
    assert [score.score for score in worst_pictures(few)] == [0.1, 0.3, 0.5, 0.6, 0.7]
    assert [score.score for score in best_pictures(few)] == [0.9, 0.8]
    assert best_pictures(few[:3]) == worst_pictures([]) == ()

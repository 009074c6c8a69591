from __future__ import annotations

from afformer.wording import count, first_line, listed


def test_a_noun_has_the_number_of_what_is_counted() -> None:
    assert [count(number, "picture") for number in range(3)] == ["0 pictures", "1 picture", "2 pictures"]


def test_a_long_list_is_cut_and_says_how_much_is_left_out() -> None:
    items = ["a", "b", "c"]
    assert [listed(items, most) for most in (1, 2, 3)] == ["a and 2 more", "a, b and 1 more", "a, b, c"]
    assert listed([], 2) == ""


def test_an_error_of_many_lines_is_its_first_and_one_without_text_its_type() -> None:
    assert first_line(ValueError("\n one\ntwo")) == "one"
    assert first_line(SilentError()) == "SilentError"


class SilentError(Exception):
    pass

"""Enums that also take their members' strings; for anything else the error lists the choices."""

from __future__ import annotations

import enum
import re

from afformer.errors import ChoiceError


class Choice(enum.Enum):
    """Base of all choices that a caller makes: `Fit("pad")` is `Fit.PAD`, `Fit("none")` raises `ChoiceError`."""

    @classmethod
    def _missing_(cls, value: object) -> Choice:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
        raise ChoiceError(f"{name} must be one of {', '.join(str(choice.value) for choice in cls)}, but got {value!r}")


def take_choices(options: object, **choices: type[Choice]) -> None:
    """Turns strings in the fields of a frozen dataclass into members; to be called in `__post_init__`.

    Args:
        options: The dataclass.
        **choices: The enum of each field; None stays None.

    Raises:
        ChoiceError: A value is none of the field's choices.
    """
    for field, choice in choices.items():
        value = getattr(options, field)
        if value is not None:
            object.__setattr__(options, field, choice(value))

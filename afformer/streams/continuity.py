"""Times that go on where a file's own jump back: recordings that were put one behind the other keep theirs."""

from __future__ import annotations

from fractions import Fraction

_BACK_S = Fraction(1, 2)
"""A jump back by more than this is another recording; a smaller one is a wrong time."""
_AHEAD_S = 10
"""In containers that may jump, a jump ahead by more than this is another recording, too."""
JUMPING = ("mpegts", "mpeg")
"""FFmpeg's names of containers that mark another recording by a jump in time."""


class Continuity:
    """The times of one stream, in the order in which it is shown.

    Args:
        jumping: Whether a jump ahead is another recording, rather than a pause.
    """

    def __init__(self, *, jumping: bool) -> None:
        self._jumping = jumping
        self._shift_s = Fraction(0)
        self._last_s: Fraction | None = None
        self._step_s = Fraction(0)

    def time_of(self, time_s: Fraction) -> Fraction:
        """The time at which this goes on, in seconds, never before that of the call before."""
        time_s += self._shift_s
        if self._last_s is not None:
            step = time_s - self._last_s
            if step < -_BACK_S or (self._jumping and step > _AHEAD_S):
                self._shift_s += self._step_s - step
                time_s = self._last_s + self._step_s
            elif step > 0:
                self._step_s = step
            time_s = max(time_s, self._last_s)
        self._last_s = time_s
        return time_s

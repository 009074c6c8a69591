"""Whether an INT8 model is within the drop and faster than float, both measured."""

from __future__ import annotations

import dataclasses

GOOD_AGREEMENT = 0.99
"""Below this share of pixels with the float model's class there is a warning, where no limit was set."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was measured and what was asked for. Sentences name parameters in backticks, such as `max_drop`.

    Attributes:
        drop: Points lost.
        measure: Points of what, such as `mIoU`.
        max_drop: Points that may be lost; None allows any drop.
        agreement: Share of pixels with the float model's class, 0..1.
        ratio: Latency over the float model's.
        exhausted: Whether the budget ended the search.
        foreign: Whether the target is another machine than the one that measured.
        allow_drop: Whether to accept a larger drop.
        allow_slower: Whether to accept a slower model.
    """

    drop: float
    measure: str
    max_drop: float | None
    agreement: float
    ratio: float
    exhausted: bool = False
    foreign: bool = False
    allow_drop: bool = False
    allow_slower: bool = False

    @property
    def accurate(self) -> bool:
        """Whether the drop is within the limit."""
        return self.max_drop is None or self.drop <= self.max_drop

    @property
    def faster(self) -> bool:
        """Whether the model is faster than float."""
        return self.ratio < 1

    @property
    def success(self) -> bool:
        """Whether both hold."""
        return self.accurate and self.faster

    @property
    def accepted(self) -> bool:
        """Whether the model is written: both hold, or what does not hold is allowed."""
        return (self.accurate or self.allow_drop) and (self.faster or self.allow_slower)

    def accuracy(self) -> str:
        """One sentence on accuracy."""
        lost = f"{_points(self.drop)} of {self.measure}" if self.drop > 0 else f"nothing of {self.measure}"
        same = f"{self.agreement:.2%} of pixels have the float model's class"
        if self.max_drop is None:
            return f"Loses {lost}; {same}."
        if self.accurate:
            return f"Within the drop: loses {lost}, the limit is {self.max_drop:g}; {same}."
        over = self.drop - self.max_drop
        return f"Too inaccurate: loses {lost}, {_points(over)} more than the limit of {self.max_drop:g}; {same}."

    def speed(self) -> str:
        """One sentence on speed."""
        if self.faster:
            return f"Faster than float: {self.ratio:.2f} of its latency, {1 / self.ratio:.2f} times as fast."
        return f"Not faster than float: {self.ratio:.2f} of its latency, measured in turns on this machine."

    def failure(self) -> str:
        """What does not hold, and what to try."""
        failed = [*([] if self.accurate else [self.accuracy()]), *([] if self.faster else [self.speed()])]
        return " ".join([*failed, *self.advice()])

    def advice(self) -> list[str]:
        """What to try, one sentence each; empty after a success."""
        found = []
        if not self.accurate:
            if self.exhausted:
                found.append("The budget ended the search; raise `budget` to let it go on.")
            found.append(
                "Calibrate with more pictures like those the model will see, try another `method`, raise "
                "`max_drop`, or accept the model as it is with `allow_drop`."
            )
        if not self.faster:
            found.append(
                "This machine is not the target: accept the model with `allow_slower` and measure there."
                if self.foreign
                else "Try another `target` or `backend`, or raise `max_drop` so that less stays in float; "
                "`allow_slower` accepts the model as it is, for use on another machine."
            )
        if self.max_drop is None and self.agreement < GOOD_AGREEMENT:
            found.append(
                f"Fewer than {GOOD_AGREEMENT:.0%} of pixels agree with the float model: set `max_drop`, and the search "
                "leaves in float what hurts most."
            )
        return found


def _points(value: float) -> str:
    return f"{value:.2f} points" if abs(value) >= 0.005 else f"{value:.1g} points"

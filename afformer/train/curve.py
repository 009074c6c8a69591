"""How a run went: loss and mIoU over the epochs, as data and as a picture."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Sequence
from typing import Any

from afformer.foreign import quoted, text
from afformer.measure.tables import plain

WIDTH, HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 56, 40, 40
_LINES = 4
"""Parts that the grid divides the height into."""
_LOSS, _MIOU = "#b45309", "#2563eb"
_MOST_STEPS = 2**53
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#666}path{fill:none;stroke-width:2;stroke-linejoin:round}"
    "line{stroke:#8884;stroke-width:1}"
)


@dataclasses.dataclass(frozen=True)
class Check:
    """What was found at one point of a run.

    Attributes:
        step: Steps done.
        epoch: Passes over the training pictures done.
        seconds: Time since the run began, over all its parts.
        loss: Mean loss since the check before.
        miou: Of the averaged weights on the validation pictures, 0..1.
        pixel_accuracy: The same weights' share of right pixels, 0..1.
        per_class_iou: By class name, 0..1; nan for classes that do not occur.
    """

    step: int
    epoch: float
    seconds: float
    loss: float
    miou: float
    pixel_accuracy: float
    per_class_iou: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; nan becomes None."""
        return dict(plain(self))

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Check:
        """What `to_json` wrote.

        Raises:
            ValueError: Values are not what they should be; further `foreign.UNREADABLE`.
        """
        step, shares = found["step"], found["per_class_iou"].items()
        if type(step) is not int or not 0 < step < _MOST_STEPS:
            raise ValueError(f"a check at step {quoted(step)}")
        return cls(
            step,
            **{name: _finite(found[name]) for name in ("epoch", "seconds", "loss", "miou", "pixel_accuracy")},
            per_class_iou={text(name): math.nan if iou is None else _finite(iou) for name, iou in shares},
        )


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a check that found {quoted(value)}")
    return number


def curve_svg(checks: Sequence[Check], title: str) -> str:
    """Loss (left scale) and validation mIoU (right scale) over the epochs, as an SVG file's text.

    Args:
        checks: One at least, in order.
        title: Above the plot.
    """
    epochs = [check.epoch for check in checks]
    highest = max(check.loss for check in checks) * 1.05 or 1.0
    loss = _path(epochs, [check.loss / highest for check in checks], _LOSS)
    miou = _path(epochs, [check.miou for check in checks], _MIOU)
    last = checks[-1]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><style>{_STYLE}</style>'
        f"<title>{html.escape(title)}</title>{_text(WIDTH / 2, 20, title)}"
        f"{_scale(highest)}{loss}{miou}"
        f"{_text(_LEFT, _TOP - 8, f'loss {last.loss:.3f}', _LOSS)}"
        f"{_text(WIDTH - _RIGHT, _TOP - 8, f'val mIoU {100 * last.miou:.1f}', _MIOU)}"
        f"{_text(_LEFT, HEIGHT - 12, '0')}{_text(WIDTH - _RIGHT, HEIGHT - 12, f'{epochs[-1]:.5g}')}"
        f"{_text(WIDTH / 2, HEIGHT - 12, 'epochs')}</svg>\n"
    )


def _path(epochs: Sequence[float], shares: Sequence[float], colour: str) -> str:
    """A line with a dot a point; shares are of the height."""
    points = [(_x(epoch / epochs[-1]), _y(share)) for epoch, share in zip(epochs, shares, strict=True)]
    line = " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points)
    return f'<path d="M{line}" stroke="{colour}"/>{dots}'


def _scale(highest: float) -> str:
    """Grid lines with their losses to the left and their mIoU to the right."""
    parts = []
    for index in range(_LINES + 1):
        share = index / _LINES
        y = _y(share)
        parts.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(_LEFT - 24, y + 4, f"{share * highest:.2f}", _LOSS))
        parts.append(_text(WIDTH - _RIGHT + 24, y + 4, f"{100 * share:.0f}", _MIOU))
    return "".join(parts)


def _text(x: float, y: float, text: str, colour: str = "#666") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" style="fill:{colour}">{html.escape(text)}</text>'


def _x(share: float) -> float:
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

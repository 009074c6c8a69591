"""The report as one HTML page that loads nothing else: the verdict on top, the details below."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from afformer.html.page import render
from afformer.html.pictures import Difference
from afformer.quantize.report.data import NOTEWORTHY, ClassChange, QuantizeReport
from afformer.quantize.report.histograms import Chart
from afformer.spec import RGB

_CLEAN_DB, _NOISY_DB = 50.0, 15.0
"""Ends of the noise bars: no effect, and harmful."""


@dataclasses.dataclass(frozen=True)
class Illustrations:
    """What only the page shows.

    Attributes:
        charts: Histograms of the tensors with the worst fitting ranges, by name.
        legend: (class name, RGB colour) of every class, as the pictures show them.
        differences: Pictures with both models' class maps.
    """

    charts: Mapping[str, Chart]
    legend: tuple[tuple[str, RGB], ...]
    differences: tuple[Difference, ...]


def render_page(report: QuantizeReport, illustrations: Illustrations) -> str:
    """The page as text."""
    return render(
        "quantize/report/page.html.jinja",
        report=report,
        verdict=report.verdict,
        title=_title(report),
        classes=report.class_changes(),
        trend=_trend,
        noise_share=_noise_share,
        charts=illustrations.charts,
        colours=illustrations.legend,
        differences=illustrations.differences,
    )


def _title(report: QuantizeReport) -> tuple[str, str]:
    """Style class and text of the verdict."""
    if report.verdict.success:
        return "good", "Worth it"
    if report.verdict.accepted:
        return "warn", "Accepted as asked for"
    return "bad", "Not worth it: no model was written"


def _trend(change: ClassChange) -> str:
    """Style class of a change: `worse`, `better`, or empty for a small one."""
    return "worse" if change.points < -NOTEWORTHY else "better" if change.points > NOTEWORTHY else ""


def _noise_share(sqnr_db: float) -> float:
    return (_CLEAN_DB - sqnr_db) / (_CLEAN_DB - _NOISY_DB)

"""The report as one HTML page that loads nothing else: the verdict on top, the details below."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

from afformer.html.page import render
from afformer.html.pictures import Difference
from afformer.quantize.report.data import QuantizeReport
from afformer.quantize.report.histograms import Chart

_CLEAN_DB, _NOISY_DB = 50.0, 15.0
"""Ends of the noise bars: no effect, and harmful."""
_NOTEWORTHY = 0.5
"""Points of IoU that a class must change by to be coloured."""


@dataclasses.dataclass(frozen=True)
class Illustrations:
    """What only the page shows.

    Attributes:
        charts: Histograms of the tensors with the worst fitting ranges, by name.
        differences: Pictures with both models' class maps.
    """

    charts: Mapping[str, Chart]
    differences: tuple[Difference, ...]


@dataclasses.dataclass(frozen=True)
class ClassRow:
    """IoU of one class, before and after, 0..1."""

    name: str
    before: float
    after: float

    @property
    def points(self) -> float:
        """Points gained."""
        return 100 * (self.after - self.before)

    @property
    def trend(self) -> str:
        """Style class of the change: `worse`, `better`, or empty for a small change."""
        return "worse" if self.points < -_NOTEWORTHY else "better" if self.points > _NOTEWORTHY else ""


def render_page(report: QuantizeReport, illustrations: Illustrations) -> str:
    """The page as text."""
    return render(
        "quantize/report/page.html.jinja",
        report=report,
        verdict=report.verdict,
        title=_title(report),
        classes=list(_class_rows(report)),
        noise_share=_noise_share,
        charts=illustrations.charts,
        differences=illustrations.differences,
    )


def _title(report: QuantizeReport) -> tuple[str, str]:
    """Style class and text of the verdict."""
    if report.verdict.success:
        return "good", "Worth it"
    if report.verdict.accepted:
        return "warn", "Accepted as asked for"
    return "bad", "Not worth it: no model was written"


def _class_rows(report: QuantizeReport) -> Iterator[ClassRow]:
    """The classes that occur."""
    before, after = report.before.accuracy.per_class_iou, report.after.accuracy.per_class_iou
    for row in map(ClassRow, report.classes, before, after):
        if not (math.isnan(row.before) and math.isnan(row.after)):
            yield row


def _noise_share(sqnr_db: float) -> float:
    return (_CLEAN_DB - sqnr_db) / (_CLEAN_DB - _NOISY_DB)

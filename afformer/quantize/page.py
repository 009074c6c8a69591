"""The report as one HTML page that needs nothing else: the verdict on top, the details below."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from afformer.files import replacing
from afformer.quantize.charts import Sample
from afformer.quantize.page_style import STYLE
from afformer.quantize.report import Conversions, FloatNodes, Layer, QuantizeReport
from afformer.quantize.search import Step, Why

_GOOD_DB, _POOR_DB = 50.0, 15.0
"""Ends of the noise bars: inaudible, and harmful."""
_SHOWN = 12
"""Rows of a long table that are not folded away."""


@dataclasses.dataclass(frozen=True)
class Visuals:
    """What only the page shows.

    Attributes:
        histograms: SVG of the tensors with the worst fitting ranges, by name.
        samples: Pictures.
    """

    histograms: dict[str, str]
    samples: tuple[Sample, ...]


def write_page(report: QuantizeReport, visuals: Visuals, path: Path) -> None:
    """Writes the page.

    Raises:
        OutputError: The file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(render(report, visuals), encoding="utf-8")


def render(report: QuantizeReport, visuals: Visuals) -> str:
    """The page as text."""
    sections = (
        _verdict(report),
        _tiles(report),
        _section("Accuracy by class", _iou_note(report), _classes(report)),
        _section("Pictures", "Pixels whose class differs from the float model's are pink.", _samples(visuals.samples)),
        _section("Noise by unit", _NOISE_NOTE, _layers(report.layers)),
        _section("Left in float", "", _floats(report.float_nodes)),
        _section("Conversions left", _conversions_note(report), _conversions(report.conversions)),
        _section("Ranges that fit worst", _RANGES_NOTE, _histograms(report, visuals)),
        _section("Search", _search_note(report), _steps(report.search.steps)),
        _section("Calibration", "", _calibration(report)),
    )
    name = escape(report.after.path.name)
    height, width = report.input_hw
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: INT8 report</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>{name}</h1><p>INT8 for {escape(report.target)}, made from {escape(report.before.path.name)}, "
        f"{width}&times;{height}, in {report.seconds:.0f} s</p></header>{''.join(sections)}</main></body></html>\n"
    )


_NOISE_NOTE = (
    "Signal-to-noise ratio of the logits with this unit alone in integers, worst first. Every 6 dB less doubles the "
    "error."
)
_RANGES_NOTE = (
    "Distribution of the tensors whose own rounding and clipping costs most; counts on a logarithmic scale. The lines "
    "are the ends of the range, what lies outside is clipped."
)


def _verdict(report: QuantizeReport) -> str:
    deal = report.bargain
    if deal.success:
        kind, title = "good", "Worth it"
    elif deal.accepted:
        kind, title = "warn", "Accepted as asked for"
    else:
        kind, title = "bad", "Not worth it: no model was written"
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in (deal.accuracy(), deal.speed()))
    advice = "".join(f"<li class=advice>{escape(sentence)}</li>" for sentence in deal.advice())
    return f'<section class="verdict {kind}"><h2>{title}</h2><ul>{sentences}{advice}</ul></section>'


def _tiles(report: QuantizeReport) -> str:
    before, after, speed = report.before, report.after, report.speed
    spread = f"{speed.ratio_low:.2f} to {speed.ratio_high:.2f} in the middle half of the rounds; {speed.engine}"
    worst = f"worst {after.accuracy.worst_agreement:.2%} ({after.accuracy.worst_picture.name})"
    milliseconds = _change(before.seconds * 1e3, after.seconds * 1e3, 1, " ms")
    megabytes = _change(before.bytes / 1e6, after.bytes / 1e6, 2, " MB")
    tiles = [
        ("Latency", f"{speed.ratio:.2f} <em>of float</em>", milliseconds, spread),
        ("Pixel agreement", f"{after.accuracy.agreement:.2%}", f"{after.accuracy.pictures} pictures", worst),
        ("Size", f"{after.bytes / before.bytes:.2f} <em>of float</em>", megabytes, ""),
    ]
    if before.accuracy.miou is not None and after.accuracy.miou is not None:
        change = _change(100 * before.accuracy.miou, 100 * after.accuracy.miou, 2, "")
        points = 100 * (after.accuracy.miou - before.accuracy.miou)
        tiles.insert(1, ("mIoU", f"{points:+.2f}", change, "points, against the labels"))
    return '<section class="tiles">' + "".join(_tile(*tile) for tile in tiles) + "</section>"


def _tile(title: str, figure: str, change: str, note: str) -> str:
    return f"<div><h3>{title}</h3><strong>{figure}</strong><span>{change}</span><small>{escape(note)}</small></div>"


def _change(before: float, after: float, decimals: int, unit: str) -> str:
    return f"{before:.{decimals}f} &rarr; {after:.{decimals}f}{unit}"


def _iou_note(report: QuantizeReport) -> str:
    if report.before.accuracy.miou is None:
        return "There were no labels: IoU of each class with the float model's class maps as the truth."
    return "IoU against the labels, in percent."


def _classes(report: QuantizeReport) -> str:
    rows = []
    pairs = zip(report.before.accuracy.per_class_iou, report.after.accuracy.per_class_iou, strict=True)
    for name, (before, after) in zip(report.classes, pairs, strict=True):
        if math.isnan(before) and math.isnan(after):
            continue
        change = 100 * (after - before)
        kind = "worse" if change < -0.5 else "better" if change > 0.5 else ""
        cells = [escape(name), _percent(before), _percent(after), f'<span class="{kind}">{change:+.2f}</span>']
        rows.append([*cells, _bar(after, 1.0)])
    return _table(["class", "float", "INT8", "change", ""], rows)


def _samples(samples: Iterable[Sample]) -> str:
    rows = []
    for sample in samples:
        figures = "".join(
            f'<figure><img src="{uri}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
            for caption, uri in sample.images
        )
        title = f"{escape(sample.name)}, {sample.agreement:.2%} agree"
        rows.append(f"<h3>{title}</h3><div class=pictures>{figures}</div>")
    return "".join(rows)


def _layers(layers: Sequence[Layer]) -> str:
    rows = []
    for layer in layers:
        share = (_GOOD_DB - layer.sqnr_db) / (_GOOD_DB - _POOR_DB)
        state = f"float: {escape(layer.in_float)}" if layer.in_float else "integer"
        noise = f"{layer.sqnr_db:.1f} dB" if math.isfinite(layer.sqnr_db) else "none"
        rows.append([f"<code>{escape(layer.name)}</code>", noise, _bar(share, 1.0), str(len(layer.nodes)), state])
    return _folded(["unit", "SQNR", "noise", "nodes", "runs in"], rows)


def _floats(groups: Sequence[FloatNodes]) -> str:
    rows = [[str(len(group.nodes)), escape(group.reason), _names(group.nodes)] for group in groups]
    return _folded(["nodes", "why", "which"], rows)


def _conversions_note(report: QuantizeReport) -> str:
    kinds = sorted({left.op_type for left in report.conversions})
    counts = ", ".join(f"{report.count(kind)} {kind}" for kind in kinds)
    return f"{counts}; each has a reason." if counts else "None."


def _conversions(conversions: Sequence[Conversions]) -> str:
    rows = [
        [str(len(left.steps)), escape(left.op_type), escape(left.reason), _names(left.steps)] for left in conversions
    ]
    return _folded(["count", "step", "why", "where"], rows)


def _histograms(report: QuantizeReport, visuals: Visuals) -> str:
    shown = [tensor for tensor in report.tensors if tensor.name in visuals.histograms]
    figures = [
        f"<figure>{visuals.histograms[tensor.name]}<figcaption><code>{escape(tensor.node or tensor.name)}</code><br>"
        f"{tensor.sqnr_db:.1f} dB, {tensor.clipped:.3%} clipped</figcaption></figure>"
        for tensor in shown
    ]
    return f"<div class=charts>{''.join(figures)}</div>"


def _search_note(report: QuantizeReport) -> str:
    ended = "; its budget ended it" if report.search.exhausted else ""
    return f"{report.search.evaluations} candidate{'s' * (report.search.evaluations != 1)} scored{ended}."


def _steps(steps: Sequence[Step]) -> str:
    rows = []
    for step in steps:
        scale, unit = (1e3, " ms") if step.why is Why.SPEED else (1.0, " points")
        change = f"{step.before * scale:.2f} &rarr; {step.after * scale:.2f}{unit}"
        what = "to float" if step.to_float else "back to integers"
        rows.append([_names(step.units), what, step.why.value, change, "kept" if step.kept else "undone"])
    return _table(["units", "change", "for", "effect", ""], rows) if rows else ""


def _calibration(report: QuantizeReport) -> str:
    notes = report.calibration
    warnings = "".join(f"<li>{escape(warning)}</li>" for warning in notes.warnings)
    return (
        f"<p>{notes.pictures} pictures, method <code>{escape(notes.method)}</code>; ranges {escape(notes.source)}: "
        f"<code>{escape(notes.cache.name)}</code>, which can be edited.</p><ul>{warnings}</ul>"
    )


def _section(title: str, note: str, body: str) -> str:
    if not body:
        return f"<section><h2>{title}</h2><p>{escape(note)}</p></section>" if note else ""
    return f"<section><h2>{title}</h2>{f'<p>{escape(note)}</p>' if note else ''}{body}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"


def _folded(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    shown, hidden = _table(head, rows[:_SHOWN]), rows[_SHOWN:]
    if not hidden:
        return shown
    return f"{shown}<details><summary>{len(hidden)} more</summary>{_table(head, hidden)}</details>"


def _names(names: Sequence[str]) -> str:
    listed = [f"<code>{escape(name)}</code>" for name in names]
    if len(listed) <= 3:
        return ", ".join(listed)
    return f"<details><summary>{listed[0]} and {len(listed) - 1} more</summary>{', '.join(listed[1:])}</details>"


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.2f}"


def _bar(value: float, largest: float) -> str:
    share = 0.0 if math.isnan(value) else min(1.0, max(0.0, value / largest))
    return f'<span class=bar><i style="width:{100 * share:.1f}%"></i></span>'

"""What came out of a quantization: data, JSON and an HTML page, all from the same data classes.

data         the report, its summary and its JSON
contents     fills it from what was measured
histograms   charts of the ranges that fit worst
page         the HTML page, `page.html.jinja`
"""

from pathlib import Path

from afformer.html.page import write_text
from afformer.quantize.report.data import QuantizeReport
from afformer.quantize.report.page import Illustrations, render_page


def write(report: QuantizeReport, illustrations: Illustrations, model: Path) -> None:
    """Writes `.report.json` and `.report.html` beside the model.

    Raises:
        OutputError: A file cannot be written.
    """
    for suffix, text in ((".report.json", report.to_json()), (".report.html", render_page(report, illustrations))):
        write_text(model.with_suffix(suffix), text)

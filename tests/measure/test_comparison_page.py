from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from afformer.measure.comparison import compare_models
from tests.builders.pages import assert_loads_nothing, assert_well_formed, text_of
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx


def test_the_page_shows_the_pictures_that_differ_most_the_worst_first(
    greys: list[tuple[Path, Path]], tmp_path: Path
) -> None:
    classes = ("night", "dusk & dawn", "<noon>", "day")
    a = write_tiny_onnx(tmp_path / "a.onnx", dataclasses.replace(SPEC, classes=classes))
    b = write_tiny_onnx(tmp_path / "b.onnx", dataclasses.replace(SPEC, classes=classes, input_hw=(128, 192)))
    for _, label in greys:
        label.unlink()
    page = tmp_path / "report.html"
    found = compare_models(a, b, tmp_path, html=page)
    text = page.read_text(encoding="utf-8")
    assert_well_formed(text)
    assert_loads_nothing(text)
    shown = text_of(text)
    assert "b.onnx against a.onnx" in shown
    assert "&lt;noon&gt;" in shown
    headings = re.findall(r"(grey_\d\.png), ([\d.]+)% agree", shown)
    shares = [float(share) for _, share in headings]
    assert len(shares) == 5
    assert shares == sorted(shares)
    assert found.worst_picture is not None
    assert headings[0] == (found.worst_picture.name, f"{100 * found.worst_agreement:.2f}")
    assert text.count("<img") == 4 * 5
    assert "grey_4.png" in shown.partition("Left out")[2]


def test_nothing_to_compare_makes_a_page_all_the_same(tmp_path: Path) -> None:
    model = write_tiny_onnx(tmp_path / "a.onnx")
    (tmp_path / "broken.png").write_bytes(b"broken")
    page = tmp_path / "report.html"
    compare_models(model, model, tmp_path, html=page)
    text = page.read_text(encoding="utf-8")
    assert_well_formed(text)
    assert "1 left out" in text_of(text)
    assert "<img" not in text

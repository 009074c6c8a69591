"""What README and docs tell people to type exists."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from afformer import assets
from afformer.cli import main
from tests.builders.cli import STREET, run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PLACEHOLDER = re.compile(r"[A-Z]{2,}|\.\.\.|\[")
"""`afformer-cli infer MODEL PICTURE` is a form, not a line to type."""


def command_lines(page: Path) -> list[list[str]]:
    """The `afformer-cli` lines in a page's code blocks, without those that only show a form."""
    text = page.read_text().replace("\\\n", " ")
    lines = re.findall(r"^(?: {4,}|\$ )?(?:\S+/)?afformer-cli ([^`\n]*)$", text, re.MULTILINE)
    typed = [shlex.split(line, comments=True) for line in lines]
    return [words for words in typed if words and not any(PLACEHOLDER.search(word) for word in words)]


LINES = [(page.name, words) for page in PAGES for words in command_lines(page)]


def test_the_readme_has_lines_to_type_and_is_short() -> None:
    assert sum(page == "README.md" for page, _ in LINES) >= 10
    assert len((ROOT / "README.md").read_text().splitlines()) < 100


@pytest.mark.parametrize(
    ("page", "words"), LINES, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_every_line_names_a_command_and_its_options(page: str, words: list[str]) -> None:
    command = main.commands[words[0]]
    command.make_context(words[0], words[1:], parent=click.Context(main))


@pytest.mark.parametrize("words", [words for page, words in LINES if page == "README.md" and words[0] == "infer"][:2])
def test_the_first_lines_of_the_readme_do_what_they_say(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for place in ("photo.jpg", "photos/one.jpg"):
        Path(place).write_bytes(STREET.read_bytes())
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    assert list(tmp_path.rglob("*_overlay.png"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_parse_and_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        ast.parse(block)
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), f"{page.name}: {target} does not exist"


def test_the_picture_at_the_top_is_there() -> None:
    assert (ROOT / "docs" / "demo.jpg").stat().st_size > 10_000
    assert assets.MODEL.is_file()

"""What README and docs tell people to type exists and is tested, and what they link to is there."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from afformer import assets
from afformer.cli import main
from tests.builders.doc_blocks import DATA, PAGES, ROOT, RUNNABLE, Block, blocks, command_lines, installs, name_of

PLACEHOLDER = re.compile(r"[A-Z]{2,}|\.\.\.|\[")
"""`afformer-cli infer MODEL PICTURE` is a form, not a line to type."""


def reason(block: Block) -> str | None:
    """What is wrong with how a block says it is tested."""
    mark = block.mark or ""
    if block.language in DATA:
        return "is not code, and needs no mark" if mark else None
    if mark.startswith("run by "):
        test = ROOT / mark.removeprefix("run by ")
        reads = test.is_file() and block.page.name in test.read_text("utf-8")
        return None if reads else f"{test.name} does not read this page"
    if mark:
        return None if re.fullmatch(r"not run: .{15,}", mark) else f"unknown mark: {mark}"
    return None if block.language in RUNNABLE else f"no test runs a block of {block.language or 'no language'}"


def typed(page: Path) -> list[list[str]]:
    """The words of a page's `afformer-cli` lines, also of those that no test can run."""
    lines = [line for block in blocks(page) if block.language == "sh" for line in command_lines(block.code)]
    found = [re.search(r"(?:^|\| |&& )afformer-cli (.*)", line) for line in lines]
    words = [shlex.split(line[1], comments=True) for line in found if line]
    return [line for line in words if line and not any(PLACEHOLDER.search(word) for word in line)]


BLOCKS = [block for page in PAGES for block in blocks(page)]
LINES = [(page, words) for page in PAGES for words in typed(page)]


def test_the_readme_has_lines_to_type_and_is_short() -> None:
    assert sum(page == PAGES[0] for page, _ in LINES) >= 9
    assert len(PAGES[0].read_text().splitlines()) < 100


@pytest.mark.parametrize(
    ("page", "words"), LINES, ids=lambda value: name_of(value) if isinstance(value, Path) else " ".join(value)
)
def test_every_line_names_a_command_and_its_options(page: Path, words: list[str]) -> None:
    command = main.commands[words[0]]
    command.make_context(words[0], words[1:], parent=click.Context(main))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_parse_and_links_lead_somewhere(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            ast.parse(block.code)
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{name_of(page)}: {target} does not exist"


def test_the_picture_at_the_top_is_there() -> None:
    assert (ROOT / "docs" / "demo.jpg").stat().st_size > 10_000
    assert assets.MODEL.is_file()


def test_the_site_has_every_page() -> None:
    """The builder does not miss a page that the navigation leaves out."""
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2].partition("\n\n")[0]
    listed = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    assert {name_of(page).removeprefix("docs/") for page in PAGES} <= set(listed)


def test_every_block_is_run_or_says_why_not() -> None:
    assert [f"{block}: {wrong}" for block in BLOCKS if (wrong := reason(block))] == []
    assert sum(block.mark is None and block.language in RUNNABLE for block in BLOCKS) >= 10


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_code_hides_outside_fences(page: Path) -> None:
    outside = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^ {4,}\S.*", outside, re.MULTILINE) == []


def test_extras_that_are_installed_exist() -> None:
    section = (ROOT / "pyproject.toml").read_text("utf-8").partition("[project.optional-dependencies]")[2]
    extras = re.findall(r"^([a-z]+) = \[", section.partition("\n[")[0], re.MULTILINE)
    printed = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = {name for found in re.findall(r'"(?:afformer|\.)\[([a-z,]+)\]"', printed) for name in found.split(",")}
    assert len(named) >= 5
    assert named <= set(extras)
    assert any(installs(line) for block in blocks(PAGES[0]) for line in command_lines(block.code))

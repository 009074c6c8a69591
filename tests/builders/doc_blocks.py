"""The code blocks of README and docs: what they are, and how a test runs one as it is printed."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.builders.cli import run

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "examples" / "README.md",
    ROOT / "cpp" / "README.md",
]
DATA = {"text", "json", "yaml", "html"}
"""Languages of blocks that are not code."""
RUNNABLE = {"sh", "python"}

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]+) -->\n)?^```(?P<language>[a-z]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_INSTALLS = re.compile(r"(python3 -m venv|pip install) ")
_FOR_A_TEST = {
    # Whether INT8 pays depends on the machine, and a search for what must stay in float takes minutes.
    "quantize": ("--allow-slower", "--allow-drop", "--budget", "1"),
    "benchmark": ("--calls", "2"),
    # The last of two sizes counts; tests/test_docs.py reads the one that is printed.
    "export": ("--size", "64x96"),
}
"""What a test adds to a printed line, so that the line does not depend on the clock and is quick."""


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    Attributes:
        line: Of its first line of code, from 1.
        mark: What a comment above it says of how it is tested: `not run: REASON` or `run by TEST`.
    """

    page: Path
    line: int
    language: str
    mark: str | None
    code: str

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def name_of(page: Path) -> str:
    """A page in the repository, such as `docs/live.md`."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(page, text.count("\n", 0, found.start("code")) + 1, found["language"], found["mark"], found["code"])
        for found in _BLOCK.finditer(text)
    ]


def command_lines(code: str) -> list[str]:
    """The lines of a shell block, each whole, without comments."""
    lines = code.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def installs(line: str) -> bool:
    """Whether a line installs packages: a test runs in an environment where that is done."""
    return _INSTALLS.match(line) is not None


def for_a_test(words: list[str]) -> list[str]:
    """The words of an `afformer-cli` line, without the program, as a test runs it."""
    return [*words, *_FOR_A_TEST.get(words[0], ())]


def run_block(block: Block, after_each_line: Callable[[], None]) -> None:
    """Runs a block in the current folder; what fails is an assertion that names page and line."""
    if block.language == "python":
        exec(compile(block.code, str(block), "exec"), {"__name__": "__main__"})
        after_each_line()
        return
    for line in command_lines(block.code):
        if not installs(line):
            _run_line(line, block)
            after_each_line()


def _run_line(line: str, block: Block) -> None:
    program, *words = shlex.split(line, comments=True)
    if program == "python" and words[0].startswith("examples/"):
        subprocess.run([sys.executable, ROOT / words[0], *words[1:]], check=True, stdout=subprocess.DEVNULL)
        return
    assert program == "afformer-cli", f"{block}: tests cannot run {program}; mark the block `not run: REASON`"
    done = run(*for_a_test(words))
    assert done.exit_code == 0, f"{block}: {line}\n{done.output}"

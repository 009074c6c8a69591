"""That the tests mirror the source, and stand on their own."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent

WITHOUT_A_MODULE = {
    "contracts": "every backend",
    "cpp": "the C++ runtime",
    "commands": "the command line, as a user types it",
    "fuzz": "what reads files, given broken ones",
    "model/test_containers.py": "where networks lie in the files of every trainer",
    "model/reading/test_forms.py": "every form of checkpoint",
    "model/reading/test_hostile.py": "files made to do harm",
    "runtime/test_imports.py": "what importing the runtime loads",
    "serve/test_hostile.py": "requests made to do harm",
    "serve/test_page.py": "the server's page in a browser",
    "streams/test_steady_state.py": "memory over many frames",
    "tensorrt/test_exports.py": "real exports on a real TensorRT",
    "tensorrt/test_names.py": "names of TensorRT that the source uses",
    "test_doc_blocks.py": "the code blocks of README and docs",
    "triton/steps/test_steps.py": "the steps together, and a network between them",
    "test_docs.py": "what README and docs tell people to type",
    "test_layering.py": "imports of the whole package",
    "test_main.py": "the program, `afformer/__main__.py`",
    "test_suite.py": "the tests",
}
"""Tests of something else than one module, and what that is."""


def modules() -> list[Path]:
    return sorted(TESTS.rglob("test_*.py"))


def mirrored(test: Path) -> list[Path]:
    """Where the module may be: `test_flow_batches` tests `flow_batches`, or a part of `flow`."""
    words = test.stem.removeprefix("test_").split("_")
    names = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    room = test.parent.relative_to(TESTS)
    folders = (ROOT / "afformer" / room, ROOT / room, test.parent)
    return [folder / file for name in names for folder in folders for file in (f"{name}.py", f"{name}/__init__.py")]


def test_every_test_is_named_after_a_module_or_says_what_it_tests() -> None:
    lonely = {test.relative_to(TESTS).as_posix() for test in modules() if not any(map(Path.is_file, mirrored(test)))}
    listed = {name for name in lonely if name in WITHOUT_A_MODULE or name.split("/")[0] in WITHOUT_A_MODULE}
    assert sorted(lonely - listed) == []


def test_what_is_listed_is_there() -> None:
    assert [name for name in WITHOUT_A_MODULE if not (TESTS / name).exists()] == []


def test_no_test_module_imports_another() -> None:
    found = []
    for test in modules():
        for node in ast.walk(ast.parse(test.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and ".test_" in f".{node.module}":
                found.append(f"{test.relative_to(TESTS)} imports {node.module}")
    assert found == []

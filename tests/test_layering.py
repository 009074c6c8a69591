"""The floors of the package, read from its imports. CONTRIBUTING.md describes them."""

from __future__ import annotations

import ast
import graphlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = (
    ("errors", "version", "choice", "environment", "telemetry"),
    (
        "spec",
        "spec_file",
        "onnx_file",
        "foreign",
        "counts",
        "files",
        "temporary",
        "images",
        "decoding",
        "png",
        "opencv",
        "extras",
        "wording",
        "progress",
        "datasets",
        "assets",
    ),
    ("model",),
    ("runtime",),
    ("html",),
    ("streams", "measure"),
    ("train",),
    ("export",),
    ("quantize",),
    ("tensorrt",),
    ("inspection", "spec_draft", "doctor", "package", "serve", "batch", "triton"),
    ("commands",),
    ("cli", "__main__", "_pyinstaller"),
    ("",),  # the package itself, which offers the public names
)
"""From the bottom up: what stands on one floor may import what is on it or below it."""
LINES = 350
"""Most lines of a module."""
HEAVY = {"torch", "onnx", "tensorrt"}
"""What running a model must not need."""
LIGHT = ("afformer.runtime", "afformer.streams", "afformer.measure")
PYTORCH_BACKEND = "afformer.runtime.backends.pytorch"

Imports = dict[str, set[str]]
"""Module -> modules that it imports."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {name_of(path): path for path in sorted((ROOT / "afformer").rglob("*.py"))}


def imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """What import statements name: modules of this package in full, of others as they are written."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import: {ast.unparse(node)}"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in PATHS else str(node.module)


def at_module_level(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Statements that run when a module is imported."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            yield from at_module_level(statement.orelse)
            continue
        yield statement
        for block in ("body", "orelse", "finalbody"):
            yield from at_module_level(getattr(statement, block, []))
        yield from itertools.chain.from_iterable(at_module_level(h.body) for h in getattr(statement, "handlers", []))


@pytest.fixture(scope="module")
def imports() -> Imports:
    """Every import of a module of this package, inside functions and for type checkers too."""
    return {name: set(imported(ast.walk(ast.parse(path.read_text())))) & set(PATHS) for name, path in PATHS.items()}


@pytest.fixture(scope="module")
def imports_at_once() -> Imports:
    """Everything that is imported together with a module, from other packages too."""
    return {name: set(imported(at_module_level(ast.parse(path.read_text()).body))) for name, path in PATHS.items()}


def floor(name: str) -> int:
    room = name.removeprefix("afformer").removeprefix(".").partition(".")[0]
    found = [index for index, rooms in enumerate(FLOORS) if room in rooms]
    assert found, f"{name} stands on no floor; give it one in {Path(__file__).name}"
    return found[0]


def test_modules_import_no_floor_above_their_own(imports: Imports) -> None:
    upward = [
        f"{name} imports {other}"
        for name, others in imports.items()
        for other in sorted(others)
        if floor(other) > floor(name)
    ]
    assert upward == []


def test_modules_do_not_import_each_other_in_circles(imports: Imports) -> None:
    graph = {name: others - {name} for name, others in imports.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_no_module_is_longer_than_can_be_read_in_one_sitting() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in PATHS.items()}
    assert {name: length for name, length in lengths.items() if length > LINES} == {}


def test_running_and_measuring_models_loads_no_framework(imports_at_once: Imports) -> None:
    found = []
    for name in PATHS:
        if name.startswith(LIGHT) and name != PYTORCH_BACKEND:
            reached, ahead = set(), [name]
            while ahead:
                module = ahead.pop()
                if module not in reached:
                    reached.add(module)
                    ahead += imports_at_once.get(module, ())
            found += [f"{name} loads {package}" for package in sorted({r.partition(".")[0] for r in reached} & HEAVY)]
    assert found == []


def test_the_map_in_contributing_names_every_room() -> None:
    drawn = (ROOT / "CONTRIBUTING.md").read_text().partition("    afformer/\n")[2].partition("\n\n")[0].split()
    rooms = [path for path in (ROOT / "afformer").iterdir() if not path.name.startswith(("_", "."))]
    names = {f"{path.name}/" if path.is_dir() else path.name for path in rooms if path.is_dir() or path.suffix == ".py"}
    assert sorted(names - set(drawn)) == []

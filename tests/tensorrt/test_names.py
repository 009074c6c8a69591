"""That TensorRT 10 and 11 both have what is used of them.

`names/` holds what the bindings of either version have; `scripts/tensorrt_names` makes it. Where our code holds
something of TensorRT, it says so: the module is a `ModuleType`, its objects are `Any`, and nothing else is.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nvidia import pretend_tensorrt

ROOT = Path(__file__).parents[2]
# cuda.py holds CUDA's own objects, not TensorRT's
SOURCES = sorted(path for path in (ROOT / "afformer/tensorrt").glob("*.py") if path.name != "cuda.py")
LISTS = {path.stem: path for path in sorted((Path(__file__).parent / "names").glob("*.txt"))}
KINDS = {"ModuleType": "module", "Any": "object"}


def names(version: str) -> dict[str, set[str]]:
    """Class (or `module`) -> what it has."""
    lines = (line.split(":") for line in LISTS[version].read_text().splitlines())
    return {owner: set(has.split()) for owner, has in lines}


class Used(ast.NodeVisitor):
    """What a file uses: chains from the module, such as `BuilderFlag.TF32`, and attributes of its objects."""

    def __init__(self, tree: ast.Module) -> None:
        self.chains: set[str] = set()
        self.attributes: set[str] = set()
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        ours: dict[str, str] = {}
        for function in functions:  # what objects hold is known in all of their methods
            ours |= {name: kind for name, kind in held(function, {}).items() if name.startswith("self.")}
        for function in functions:
            self._held = held(function, ours)
            self.visit(function)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        owner = self._kind(node.value)
        if owner == "object" and not node.attr.startswith("_"):
            self.attributes.add(node.attr)
        elif owner == "module" and not node.attr.startswith("_"):
            self.chains.add(ast.unparse(node).removeprefix(self._module(node)).removeprefix("."))

    def _kind(self, expression: ast.expr) -> str | None:
        """Whether it is the module, or a class of it, or an object."""
        known = self._held.get(ast.unparse(expression))
        if known is None and isinstance(expression, ast.Attribute):
            return self._kind(expression.value)
        if known is None and isinstance(expression, ast.Call):
            return "object" if self._kind(expression.func) else None
        return known

    def _module(self, node: ast.expr) -> str:
        """How the module is called there."""
        while isinstance(node, ast.Attribute) and ast.unparse(node) not in self._held:
            node = node.value
        return ast.unparse(node)


def held(function: ast.FunctionDef, known: dict[str, str]) -> dict[str, str]:
    """What a function holds of TensorRT by its annotations, and by what is assigned from these."""
    found = dict(known)
    notes = [(node.arg, node.annotation) for node in ast.walk(function) if isinstance(node, ast.arg)]
    notes += [(ast.unparse(n.target), n.annotation) for n in ast.walk(function) if isinstance(n, ast.AnnAssign)]
    found |= {name: KINDS[kind] for name, note in notes if note and (kind := ast.unparse(note)) in KINDS}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target, value in pairs(node.targets[0], node.value):
                if ast.unparse(value) in found:
                    found[ast.unparse(target)] = found[ast.unparse(value)]
    return found


def pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return zip(target.elts, value.elts, strict=True)
    return iter([(target, value)])


def used() -> tuple[set[str], set[str]]:
    found = [Used(ast.parse(path.read_text())) for path in SOURCES]
    return set().union(*(f.chains for f in found)), set().union(*(f.attributes for f in found))


def has_chain(known: dict[str, set[str]], chain: str) -> bool:
    """Whether the module has `A.B.C`: A in the module, B in A, C in A.B."""
    parts = chain.split(".")
    owners = ["module", *itertools.accumulate(parts[:-1], lambda owner, part: f"{owner}.{part}")]
    return all(part in known.get(owner, set()) for owner, part in zip(owners, parts, strict=True))


def test_there_are_lists_of_both_major_versions() -> None:
    assert {name.partition("_")[2].split(".")[0] for name in LISTS} == {"10", "11"}
    assert all(len(names(version)) > 100 for version in LISTS)


def test_what_our_source_uses_is_found() -> None:
    chains, attributes = used()
    assert {"Builder", "Runtime", "OnnxParser", "BuilderFlag.VERSION_COMPATIBLE", "ILogger.Severity.ERROR"} <= chains
    assert {"build_serialized_network", "parse", "set_tensor_address", "execute_async_v3", "num_layers"} <= attributes


@pytest.mark.parametrize("version", LISTS)
def test_the_module_has_every_name_that_our_source_uses(version: str) -> None:
    known = names(version)
    assert [chain for chain in sorted(used()[0]) if not has_chain(known, chain)] == []


@pytest.mark.parametrize("version", LISTS)
def test_some_class_has_every_attribute_that_our_source_uses(version: str) -> None:
    every = set().union(*(has for owner, has in names(version).items() if owner != "module"))
    assert sorted(used()[1] - every) == []


@pytest.mark.parametrize("version", LISTS)
def test_the_names_that_version_11_dropped_would_be_noticed(version: str) -> None:
    gone = not has_chain(names(version), "BuilderFlag.INT8")
    assert gone == version.startswith("tensorrt_11")


@pytest.mark.parametrize("version", LISTS)
def test_the_pretended_tensorrt_of_other_tests_has_nothing_that_the_real_one_lacks(version: str) -> None:
    known = names(version)
    for name, pretended in inspect.getmembers(pretend_tensorrt, inspect.isclass):
        if name in known:
            public = {attribute for attribute in vars(pretended) if not attribute.startswith("_")}
            assert public <= known[name], name

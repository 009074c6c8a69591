"""The C++ readers of the spec and of the JSON beside an engine, driven by libFuzzer with sanitizers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz import engine_files, specs
from tests.fuzz.engine import ROOT, Options

NAME = "cpp_json"
_SOURCES = ("spec_json", "engine_json", "engine_info", "text", "sha256", "origin")
_SANITIZERS = ("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
_LONGEST = 20_000
_MEMORY_MIB = 500
_COUNT = re.compile(r"stat::number_of_executed_units: (\d+)")


def why_not() -> str | None:
    """What is missing to build it, or None."""
    if not shutil.which("clang++"):
        return "clang++ is not installed"
    # The libraries may be a package of their own, as in Debian.
    command = ["clang++", *_SANITIZERS, "-x", "c++", "-", "-o", os.devnull]
    empty = 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }'
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=empty)
    return f"clang++ has no libFuzzer or sanitizers: {done.stderr.strip()}" if done.returncode else None


def fuzz(options: Options) -> dict[str, Any]:
    """Builds and runs it; the report is that of the other targets.

    Raises:
        RuntimeError: It cannot be built; the message is the compiler's.
    """
    with tempfile.TemporaryDirectory() as folder:
        program, corpus = Path(folder) / "fuzz_json", Path(folder) / "corpus"
        _build(program)
        corpus.mkdir()
        for index, data in enumerate([*specs.TARGET.seeds(), *engine_files.TARGET.seeds()]):
            (corpus / f"{index:03}").write_bytes(data)
        kept = Path(options.kept)
        kept.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        done = _run(program, corpus, options, str(kept / f"{NAME}-"))
    count, findings = _COUNT.search(done.stderr), dict[str, str]()
    if done.returncode:
        unit = re.search(r"Test unit written to (\S+)", done.stderr)
        findings[f"ended with {done.returncode}: {done.stderr[-500:]}"] = unit[1] if unit else ""
    return {
        "target": NAME,
        "engine": "libFuzzer",
        "inputs": int(count[1]) if count else 0,
        "seconds": round(time.monotonic() - start, 1),
        "findings": findings,
    }


def _build(program: Path) -> None:
    cpp = ROOT / "cpp"
    sources = [cpp / "tests" / "fuzz_json.cpp", *(cpp / "src" / f"{name}.cpp" for name in _SOURCES)]
    includes = [f"-I{cpp / name}" for name in ("include", "src", "third_party")]
    command = ["clang++", "-std=c++17", "-g", "-O1", *_SANITIZERS, *includes, *map(str, sources), "-o", str(program)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)


def _run(program: Path, corpus: Path, options: Options, kept: str) -> subprocess.CompletedProcess[str]:
    limits = {
        "runs": min(options.runs, 2**31 - 1),
        "max_total_time": int(options.seconds),
        "seed": options.seed or 1,
        "max_len": _LONGEST,
        "timeout": int(options.cpu_seconds),
        "rss_limit_mb": _MEMORY_MIB,
        "print_final_stats": 1,
        "artifact_prefix": kept,
    }
    command = [str(program), *(f"-{name}={value}" for name, value in limits.items()), str(corpus)]
    return subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")

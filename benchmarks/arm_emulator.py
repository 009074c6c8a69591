"""An emulated 64-bit ARM processor that runs models and counts instructions, for `arm.py`."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from afformer.runtime.backends.base import Array

HERE = Path(__file__).parent
_EVERY_CORE = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
CPUS = {
    "cortex-a76": ("0xd0b", f"{_EVERY_CORE} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"),
    "cortex-a72": ("0xd08", _EVERY_CORE),
}
"""Part number and features of the processors, as Linux names them: ONNX Runtime chooses its kernels by these."""
Tensors = Mapping[str, Array]


@dataclasses.dataclass(frozen=True)
class Job:
    """A model that the guest runs; see `arm_guest.py`."""

    model: str
    feeds: str
    out: str
    calls: int = 1
    optimized: str | None = None
    as_is: bool = False


@dataclasses.dataclass(frozen=True, order=True)
class Count:
    """Instructions of a call, and those of them that multiply vectors of floats and of 8-bit integers."""

    instructions: int
    floats: int
    bytes: int

    def __add__(self, other: Count) -> Count:
        return Count(self.instructions + other.instructions, self.floats + other.floats, self.bytes + other.bytes)

    def without(self, call: Count) -> Count:
        """What is left when the cost of the call itself is taken off."""
        return Count(max(0, self.instructions - call.instructions), self.floats, self.bytes)


class Guest:
    """An emulated processor.

    Args:
        root: What `arm_root` made.
        cpu: QEMU's name of the processor, one of `CPUS`.
        folder: For the files of jobs.
    """

    def __init__(self, root: Path, cpu: str, folder: Path) -> None:
        self._root, self._cpu, self.folder = root, cpu, folder
        (root / "proc" / "cpuinfo").write_text("".join(_cpuinfo(core, cpu) for core in range(2)))
        self._plugin = folder / "arm_count.so"
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", self._plugin, HERE / "arm_count.c"], check=True)

    def run(self, jobs: Sequence[Job]) -> list[Count]:
        """Runs jobs one after the other; the instructions of the last call of each."""
        (self.folder / "jobs.json").write_text(json.dumps([dataclasses.asdict(job) for job in jobs]))
        marks = self.folder / "marks.txt"
        plugin = ("-plugin", f"{self._plugin},out={marks}")
        python = (self._root / "usr/bin/python3.11", HERE / "arm_guest.py", self.folder)
        variables = {"PYTHONPATH": str(self._root / "site"), "PYTHONHOME": str(self._root / "usr")}
        self._emulate([*plugin, *python], variables)
        seen = iter([[int(word) for word in line.split()] for line in marks.read_text().splitlines()])
        calls = [[(next(seen), next(seen)) for _ in range(job.calls)] for job in jobs]
        return [_difference(*made[-1]) if made else Count(0, 0, 0) for made in calls]

    def run_program(self, command: Sequence[str | Path]) -> None:
        """Runs a program of the C++ runtime, with the ONNX Runtime of the guest's Python."""
        (library,) = (self._root / "site/onnxruntime/capi").glob("libonnxruntime.so.*")
        self._emulate(command, {"AFFORMER_ONNXRUNTIME": str(library)})

    def _emulate(self, command: Sequence[str | Path], variables: Mapping[str, str]) -> None:
        emulator: list[str | Path] = ["qemu-aarch64", "-cpu", self._cpu, "-L", self._root, *command]
        subprocess.run(emulator, check=True, stdout=subprocess.DEVNULL, env=os.environ | dict(variables))


def _cpuinfo(core: int, cpu: str) -> str:
    part, features = CPUS[cpu]
    return f"""processor\t: {core}
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: {part}
CPU revision\t: 1

"""


def _difference(before: Sequence[int], after: Sequence[int]) -> Count:
    return Count(*(there - here for here, there in zip(before, after, strict=True)))


def save(model: onnx.ModelProto, path: Path) -> str:
    """Saves a model; its file name."""
    onnx.save(model, path)
    return path.name


def save_tensors(path: Path, tensors: Tensors) -> None:
    """Writes an .npz."""
    np.savez(path, **tensors)  # type: ignore[arg-type]  # its keywords are taken for its options


def with_all_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that gives every tensor."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {output.name for output in copy.graph.output}
    names = [name for node in copy.graph.node for name in node.output if name and name not in known]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def single_nodes(model: onnx.ModelProto, tensors: Tensors) -> Iterator[tuple[onnx.NodeProto, onnx.ModelProto]]:
    """Every node as a model of its own, with its constants inside."""
    constants = {constant.name: constant for constant in model.graph.initializer}
    for node in model.graph.node:
        names = dict.fromkeys(name for name in node.input if name)
        graph = helper.make_graph(
            [node],
            "node",
            [_declared(name, tensors[name]) for name in names if name not in constants],
            [onnx.ValueInfoProto(name=name) for name in node.output if name],
            [constants[name] for name in names if name in constants],
        )
        yield node, helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _declared(name: str, value: Array) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)

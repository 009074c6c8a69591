"""ARM without an ARM machine: class maps, nodes and instructions of models on an emulated 64-bit ARM processor.

    benchmarks/arm_root ROOT                       # an ARM Python with ONNX Runtime, from Debian and PyPI
    python benchmarks/arm.py ROOT FLOAT.onnx INT8.onnx ... --images DIR [--pictures 4] [--cpu cortex-a76]
        [--nodes] [--operators] [--cpp]

Needs qemu-user and gcc. For every model: pixels with the class that ONNX Runtime gives on this machine, pixels with the
float model's class on both, and the instructions of one call with one thread.

--operators: the instructions by operator, in the graph that ONNX Runtime makes of the model on ARM, each node run by
itself; and, of nodes that all models have under one name, those that cost more than in the first model.
--nodes: every node also runs by itself on the inputs that it has on this machine, and the outputs are compared.
--cpp: the C++ runtime, built with g++-aarch64-linux-gnu, on the same pictures.

Instructions are no time: they say nothing of caches, and an instruction may take one cycle or several. `cortex-a76` is
a Raspberry Pi 5, with 8-bit dot products; `cortex-a72` a Raspberry Pi 4, without.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from arm_emulator import CPUS, Count, Guest, Job, Tensors, save, save_tensors, single_nodes, with_all_outputs
from onnx import helper

from afformer.images import ClassMap, RGBImage, read_image
from afformer.measure.tables import aligned
from afformer.onnx_file import read_onnx_file
from afformer.quantize.pictures import spread
from afformer.runtime.backends.base import Array
from afformer.runtime.postprocess import classmap_from_logits
from afformer.runtime.preprocess import fit_picture
from afformer.spec import ModelSpec
from afformer.streams.sources import open_source

CPP = Path(__file__).parents[1] / "cpp"
CROSS = "aarch64-linux-gnu-"


@dataclasses.dataclass(frozen=True)
class Shown:
    """A model with its pictures, at its input size.

    Attributes:
        maps: What this machine makes of them.
    """

    path: Path
    model: onnx.ModelProto
    spec: ModelSpec
    pictures: list[RGBImage]
    maps: list[ClassMap]

    @property
    def feeds(self) -> list[dict[str, Array]]:
        """The model's input for each picture."""
        name = self.model.graph.input[0].name
        return [{name: fit_picture(picture, self.spec).tensor[None]} for picture in self.pictures]

    def map_of(self, logits: Array) -> ClassMap:
        """The class map of what the model gives."""
        return classmap_from_logits(logits[0], self.spec.input_hw)


def show(path: Path, pictures: Sequence[Path]) -> Shown:
    """Runs a model on this machine."""
    model, spec = read_onnx_file(path)
    height, width = spec.input_hw
    resized = [np.asarray(cv2.resize(read_image(one), (width, height)), np.uint8) for one in pictures]
    shown = Shown(path, model, spec, resized, [])
    shown.maps.extend(shown.map_of(next(iter(here(model, feeds).values()))) for feeds in shown.feeds)
    return shown


def here(model: onnx.ModelProto, feeds: Tensors, *, as_is: bool = False) -> dict[str, Array]:
    """A model's outputs on this machine."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if as_is:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def loaded(path: Path) -> dict[str, Array]:
    """All arrays of an .npz."""
    with np.load(path) as arrays:
        return dict(arrays)


def classes_there(guest: Guest, shown: Shown) -> tuple[list[ClassMap], Count]:
    """The class maps that the guest makes of the pictures, and the instructions of a call."""
    saved = save(shown.model, guest.folder / "model.onnx")
    jobs = []
    for number, feeds in enumerate(shown.feeds):
        save_tensors(guest.folder / f"feeds{number}.npz", feeds)
        jobs.append(Job(saved, f"feeds{number}.npz", f"out{number}.npz"))
    counts = guest.run(jobs)
    return [shown.map_of(next(iter(loaded(guest.folder / job.out).values()))) for job in jobs], counts[0]


def same(maps: Sequence[ClassMap], others: Sequence[ClassMap]) -> str:
    """Pixels of the same class, in percent."""
    return f"{100 * float(np.mean([one == other for one, other in zip(maps, others, strict=True)])):.3f}"


def node_by_node(guest: Guest, shown: Shown) -> list[list[str]]:
    """Rows by operator: nodes, those with equal outputs, and the largest difference given the same inputs."""
    feeds = shown.feeds[0]
    tensors = {**feeds, **here(with_all_outputs(shown.model), feeds, as_is=True)}
    jobs, nodes = _jobs_of_nodes(guest, shown.model, tensors)
    guest.run(jobs)
    found: dict[str, list[float]] = collections.defaultdict(list)
    for job, node in zip(jobs, nodes, strict=True):
        made = loaded(guest.folder / job.out)
        found[node.op_type].append(max(_apart(value, tensors[name]) for name, value in made.items()))
    return [
        [kind, str(len(values)), str(sum(value == 0 for value in values)), f"{max(values):.2g}"]
        for kind, values in sorted(found.items())
    ]


def _apart(one: Array, other: Array) -> float:
    """Largest difference: of integers in steps, of floats relative to the largest value."""
    difference = float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())
    return difference if one.dtype.kind != "f" else difference / max(float(np.abs(other).max()), 1e-30)


def _jobs_of_nodes(guest: Guest, model: onnx.ModelProto, tensors: Tensors) -> tuple[list[Job], list[onnx.NodeProto]]:
    save_tensors(guest.folder / "tensors.npz", tensors)
    jobs, nodes = [], []
    for number, (node, single) in enumerate(single_nodes(model, tensors)):
        saved = save(single, guest.folder / f"node{number}.onnx")
        jobs.append(Job(saved, "tensors.npz", f"node{number}.npz", as_is=True))
        nodes.append(node)
    return jobs, nodes


def by_node(guest: Guest, shown: Shown) -> dict[str, tuple[str, Count]]:
    """Operator and instructions of each node of the graph that ONNX Runtime makes of the model, by the node's name."""
    feeds = shown.feeds[0]
    save_tensors(guest.folder / "feeds.npz", feeds)
    saved = save(shown.model, guest.folder / "model.onnx")
    guest.run([Job(saved, "feeds.npz", "out.npz", calls=0, optimized="optimized.onnx")])
    optimized = onnx.load(guest.folder / "optimized.onnx")
    everything = save(with_all_outputs(optimized), guest.folder / "everything.onnx")
    guest.run([Job(everything, "feeds.npz", "everything.npz", calls=0, as_is=True)])
    tensors = {**feeds, **loaded(guest.folder / "everything.npz")}
    jobs, nodes = _jobs_of_nodes(guest, optimized, tensors)
    empty, *counts = guest.run([_nothing(guest), *jobs])
    return {
        node.name or node.output[0]: (node.op_type, count.without(empty))
        for node, count in zip(nodes, counts, strict=True)
    }


def _nothing(guest: Guest) -> Job:
    """A model that does nothing: what a call itself costs."""
    value = np.zeros(1, np.float32)
    declared = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "nothing", declared[:1], declared[1:])
    opset = [helper.make_opsetid("", 17)]
    np.savez(guest.folder / "nothing.npz", x=value)
    saved = save(helper.make_model(graph, opset_imports=opset, ir_version=9), guest.folder / "nothing.onnx")
    return Job(saved, "nothing.npz", "nothing_out.npz", as_is=True)


def operators(counts: dict[str, tuple[str, Count]]) -> list[list[str]]:
    """Rows by operator: nodes, millions of instructions, and of those that multiply vectors."""
    found: dict[str, list[Count]] = collections.defaultdict(list)
    for kind, count in counts.values():
        found[kind].append(count)
    totals = sorted(((sum(each, Count(0, 0, 0)), kind) for kind, each in found.items()), reverse=True)
    millions = [(kind, [total.instructions, total.floats, total.bytes]) for total, kind in totals]
    return [[kind, str(len(found[kind])), *(f"{one / 1e6:.1f}" for one in each)] for kind, each in millions]


def dearer(counts: dict[str, tuple[str, Count]], floats: dict[str, tuple[str, Count]]) -> list[list[str]]:
    """Nodes that take more instructions than the node of the same name in the float model."""
    both = [(name, floats[name], counts[name]) for name in counts if name in floats]
    return [
        [name, kind, f"{before.instructions / 1e6:.2f}", after_kind, f"{after.instructions / 1e6:.2f}"]
        for name, (kind, before), (after_kind, after) in both
        if after.instructions > 1.02 * before.instructions + 1e4
    ]


def build_cpp(folder: Path) -> Path:
    """The C++ runtime's `afformer-image` for ARM."""
    system = ("-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64", "-DCMAKE_BUILD_TYPE=Release")
    compilers = (f"-DCMAKE_C_COMPILER={CROSS}gcc", f"-DCMAKE_CXX_COMPILER={CROSS}g++")
    configure: list[str | Path] = ["cmake", "-S", CPP, "-B", folder, *system, *compilers]
    build: list[str | Path] = ["cmake", "--build", folder, "--target", "afformer-image"]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return folder / "examples" / "afformer-image"


def cpp_maps(guest: Guest, program: Path, shown: Shown) -> list[ClassMap]:
    """The class maps of the C++ runtime on the guest."""
    palette = np.array(shown.spec.palette, np.uint8)
    made: list[ClassMap] = []
    for picture in shown.pictures:
        cv2.imwrite(str(guest.folder / "picture.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        guest.run_program([program, shown.path, guest.folder / "picture.png", guest.folder / "mask.png"])
        colours = read_image(guest.folder / "mask.png")
        made.append(np.asarray((colours[..., None, :] == palette).all(-1).argmax(-1), np.uint8))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("models", type=Path, nargs="+", help="the float model first")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=4, help="of them")
    parser.add_argument("--cpu", choices=CPUS, default="cortex-a76")
    parser.add_argument("--nodes", action="store_true")
    parser.add_argument("--operators", action="store_true")
    parser.add_argument("--cpp", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        guest = Guest(args.root, args.cpu, Path(folder))
        pictures = spread(open_source(args.images).paths, args.pictures)
        models = [show(path, pictures) for path in args.models]
        print(f"{args.cpu}, ONNX Runtime {ort.__version__}, {len(pictures)} pictures")
        print("\n".join(class_maps(guest, models, cpp=args.cpp)))
        if args.operators:
            print_operators(guest, models)
        for shown in models if args.nodes else ():
            head = ["operator", "nodes", "equal", "largest difference: steps of integers, share of floats' largest"]
            print(f"\n{shown.path.name}")
            print("\n".join(aligned([head, *node_by_node(guest, shown)], left=("operator",))), flush=True)


def class_maps(guest: Guest, models: Sequence[Shown], *, cpp: bool) -> list[str]:
    """A table of the models."""
    head = ["model", "as here, %", "as float, %: here", "there", "instructions of a call", "ratio"]
    program = build_cpp(guest.folder / "cpp") if cpp else None
    rows, first_maps, first_count = [], None, 0
    for shown in models:
        maps, count = classes_there(guest, shown)
        first_maps, first_count = first_maps or maps, first_count or count.instructions
        row = [shown.path.name, same(maps, shown.maps), same(models[0].maps, shown.maps), same(first_maps, maps)]
        row += [f"{count.instructions / 1e6:.0f} million", f"{count.instructions / first_count:.3f}"]
        rows.append([*row, same(cpp_maps(guest, program, shown), maps)] if program else row)
    return aligned([[*head, "C++ as Python there, %"] if cpp else head, *rows], left=("model",))


def print_operators(guest: Guest, models: Sequence[Shown]) -> None:
    """A table for every model, and what costs more than in the first one."""
    head = ["operator", "nodes", "million instructions", "float vectors multiplied", "byte vectors"]
    counts = [by_node(guest, shown) for shown in models]
    for shown, found in zip(models, counts, strict=True):
        print(f"\n{shown.path.name}")
        print("\n".join(aligned([head, *operators(found)], left=("operator",))))
        costly = dearer(found, counts[0])
        columns = ["dearer than in the first model", "there", "million", "here", "million "]
        print(
            "\n".join(aligned([columns, *costly], left=(columns[0],)) if costly else ["nothing is dearer"]), flush=True
        )


if __name__ == "__main__":
    main()

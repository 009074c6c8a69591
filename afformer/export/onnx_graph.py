"""Network -> simplified ONNX graph with readable node names and the spec in its metadata."""

from __future__ import annotations

import ast
import collections
import contextlib
import dataclasses
import io
import logging
import warnings
from importlib import metadata

import onnx
import torch
from torch import Tensor, nn

from afformer.errors import ExportError
from afformer.export.choices import OPSET
from afformer.export.endpoints import ExportedNetwork, example_input
from afformer.export.opset import to_opset
from afformer.model.compiler_folder import without_compiler_folder
from afformer.model.network import AFFormer
from afformer.onnx_file import write_spec
from afformer.spec import ModelSpec, OutputKind, Precision
from afformer.telemetry import without_telemetry
from afformer.version import __version__

with without_telemetry():  # onnxsim imports ONNX Runtime
    import onnxsim

FORBIDDEN = frozenset({"Gather", "GatherND", "Einsum", "Where", "Loop", "If", "Shape", "Range", "NonZero"})
"""Operators that the fixed-size graph of this network never needs."""
INPUT_NAME = "image"
_TOOLS = ("torch", "onnx", "onnxsim")
_SCOPES = "pkg.torch.onnx.name_scopes"


def build_graph(network: AFFormer, spec: ModelSpec, opset: int = OPSET) -> onnx.ModelProto:
    """The network as the float32 ONNX graph that the spec describes.

    Raises:
        ExportError: The exporter or the simplifier failed.
    """
    model = simplify(trace(ExportedNetwork(network, spec), example_input(spec), spec.output))
    model = to_opset(model, opset)
    stamp(model, dataclasses.replace(spec, precision=Precision.FP32))
    return model


def trace(module: nn.Module, example: Tensor, output: OutputKind) -> onnx.ModelProto:
    """Exports a module with PyTorch's exporter, without its messages on the terminal.

    Raises:
        ExportError: The exporter returned nothing.
    """
    with warnings.catch_warnings(), _quiet_exporter(), without_compiler_folder():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=[output.value],
            verbose=False,
        )
    if program is None:
        raise ExportError("PyTorch's ONNX exporter returned nothing; install the pinned torch and onnxscript versions")
    model = program.model_proto
    _name_nodes(model)
    return model


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """Folds constants and removes operators without effect; onnxsim compares both graphs on random input.

    Raises:
        ExportError: Simplification failed or changed the result, or an operator of `FORBIDDEN` remains.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # onnxsim prints its progress
            simplified: onnx.ModelProto
            simplified, same = onnxsim.simplify(model, check_n=1)
    except Exception as error:
        raise ExportError(
            f"onnxsim could not simplify the graph ({error}); report this with the checkpoint's size"
        ) from error
    if not same:
        raise ExportError("onnxsim changed the model's result; nothing was written; install the pinned onnxsim version")
    leftover = sorted({node.op_type for node in simplified.graph.node} & FORBIDDEN)
    if leftover:
        raise ExportError(
            f"the exported graph is not static, it contains {', '.join(leftover)}; install the pinned torch version"
        )
    return simplified


def stamp(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Writes the spec into the metadata and names the producer."""
    del model.metadata_props[:]
    write_spec(model, spec)
    model.producer_name, model.producer_version = "afformer", __version__
    model.doc_string = f"AFFormer-{spec.variant}, {spec.dataset}, {spec.input_hw[0]}x{spec.input_hw[1]}"
    onnx.checker.check_model(model, full_check=True)


def tool_versions() -> dict[str, str]:
    """Versions of the tools that make the graph."""
    return {"afformer": __version__, **{name: metadata.version(name) for name in _TOOLS}}


def _name_nodes(model: onnx.ModelProto) -> None:
    """Names each node after the module that made it, such as `stages.2.prototypes.filters.0.key/Conv`."""
    used: collections.Counter[str] = collections.Counter()
    for node in model.graph.node:
        scopes = next((p.value for p in node.metadata_props if p.key == _SCOPES), "['']")
        path = ["", *ast.literal_eval(scopes)[:-1]][-1].removeprefix("network.")
        name = f"{path or 'graph'}/{node.op_type}"
        used[name] += 1
        node.name = name if used[name] == 1 else f"{name}_{used[name]}"
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        del value.metadata_props[:]


@contextlib.contextmanager
def _quiet_exporter() -> collections.abc.Iterator[None]:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)

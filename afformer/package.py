"""One folder with all that a device needs: the model, its spec and labels, and the C++ runtime with its examples."""

from __future__ import annotations

import dataclasses
import fnmatch
import shlex
import shutil
from pathlib import Path
from string import Template
from typing import Any

from afformer import assets
from afformer.errors import AfformerError, BackendError
from afformer.extras import requires_extra
from afformer.files import AnyPath, new_folder
from afformer.inspection import read_spec
from afformer.runtime.backends.registry import backend_name
from afformer.runtime.opening import OpenOptions
from afformer.spec import STRIDE, ModelSpec
from afformer.tensorrt.engine_info import EngineInfo, json_path
from afformer.tensorrt.packages import Library

_PACKAGE = Path(__file__).parent

_READMES = Path(assets.__file__).parent / "package"
_NOT_PACKED = ("tests", "build*", "__pycache__")
"""Patterns of what is left out of the C++ folder."""


@dataclasses.dataclass(frozen=True)
class Package:
    """What was packed.

    Attributes:
        folder: The folder.
        files: All files in it, relative to it.
        bytes: Their total size.
    """

    folder: Path
    files: tuple[Path, ...]
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {"folder": str(self.folder), "files": [path.as_posix() for path in self.files], "bytes": self.bytes}


def package_model(model: Path, folder: Path, spec: AnyPath | None = None) -> Package:
    """Packs a model file, or an engine with the JSON beside it, for a device.

    Args:
        model: A `.onnx`, or a `.engine` with its JSON. An engine is not loaded: it need not run on this machine.
        folder: The folder to make; must be empty or not exist.
        spec: Spec file of an ONNX model that has no spec of its own; the packed one gets it.

    Raises:
        AfformerError: The file is not such a model or has no spec, or the folder is not empty or cannot be written.
    """
    kind = backend_name(model)
    if kind not in ("onnxruntime", "tensorrt"):
        raise AfformerError(f"{model}: is not a model that a device runs; export it with `afformer-cli export`")
    described, _ = read_spec(model, OpenOptions(spec=spec))
    if described.stride != STRIDE:
        raise BackendError(
            f"{model}: has logits at stride {described.stride}, and the C++ runtime reads stride {STRIDE}"
        )
    engine = _checked_engine(model) if kind == "tensorrt" else None
    with new_folder(folder) as draft:
        _fill(draft, model, described, engine)
        if engine is None:
            if spec is not None:
                _adopt(draft / model.name, model, described)
            _require_whole(draft / model.name, model)
    files = tuple(sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()))
    return Package(folder, files, sum((folder / path).stat().st_size for path in files))


def cpp_sources() -> Path:
    """The folder of the C++ runtime: inside the installed package, or beside it in a checkout."""
    inside, beside = _PACKAGE / "cpp", _PACKAGE.parent / "cpp"
    return inside if inside.is_dir() else beside


def _require_whole(packed: Path, model: Path) -> None:
    """Refuses a model that opens in its place, but not in the package."""
    try:
        read_spec(packed)
    except AfformerError as error:
        raise BackendError(
            f"{model}: needs other files beside it, such as weights in a file of their own, and a package holds one "
            f"file; write it whole with onnx.save(onnx.load({model.name!r}), 'whole.onnx') and package that"
        ) from error


def _adopt(packed: Path, model: Path, spec: ModelSpec) -> None:
    """Gives the packed model its spec, and the tensors that the C++ runtime looks for."""
    with requires_extra("quantize"):
        from afformer.export.adoption import adopted
    packed.write_bytes(adopted(model, spec)[0].SerializeToString())


def _checked_engine(path: Path) -> EngineInfo:
    """What is known about an engine that is complete and that the C++ runtime can run."""
    info = EngineInfo.beside(path)
    info.read_engine(path)
    if info.library is not Library.TENSORRT:
        raise BackendError(
            f"{path}: is an engine of {info.library.title}, which the C++ runtime does not run; package its .onnx "
            "or an engine of TensorRT"
        )
    return info


def _fill(draft: Path, model: Path, spec: ModelSpec, engine: EngineInfo | None) -> None:
    shutil.copyfile(model, draft / model.name)
    if engine:
        shutil.copyfile(json_path(model), json_path(draft / model.name))
    _copy_sources(cpp_sources(), draft / "cpp")
    shutil.copyfile(_license(), draft / "cpp" / "LICENSE")
    (draft / "spec.json").write_text(spec.to_json() + "\n", encoding="utf-8")
    (draft / "labels.txt").write_text(_labels(spec), encoding="utf-8")
    (draft / "README.md").write_text(_readme(model.name, spec, engine), encoding="utf-8")


def _copy_sources(source: Path, target: Path) -> None:
    """Copies a folder with the permissions that new files get, whatever those of the installed ones are."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in _NOT_PACKED):
            continue
        if path.is_dir():
            _copy_sources(path, target / path.name)
        else:
            shutil.copyfile(path, target / path.name)


def _license() -> Path:
    """The file with this package's licence: in the metadata of the installed package, or in a checkout."""
    root = _PACKAGE.parent
    installed = sorted(root.glob("afformer-*.dist-info/licenses/LICENSE"))
    return installed[0] if installed else root / "LICENSE"


def _labels(spec: ModelSpec) -> str:
    rows = zip(spec.classes, spec.palette, strict=True)
    # a tab or a line's end in a name would shift what follows
    return "".join(
        f"{i}\t{' '.join(name.split())}\t{red}\t{green}\t{blue}\n" for i, (name, (red, green, blue)) in enumerate(rows)
    )


def _readme(model: str, spec: ModelSpec, engine: EngineInfo | None) -> str:
    height, width = spec.input_hw
    text = (_READMES / ("engine.md" if engine else "onnx.md")).read_text(encoding="utf-8")
    return Template(text).substitute(
        name=f"AFFormer-{spec.variant} for {height}x{width} pictures",
        about=(
            f"Semantic segmentation into {spec.num_classes} classes ({spec.dataset}), {spec.precision.value}. Pictures "
            f"of any size are resized to {height}x{width} (height x width); the class map has the size of the picture."
        ),
        model=model,
        typed=shlex.quote(model),
        command=engine.rebuild_command(model) if engine else "",
        runs_on=_runs_on(engine) if engine else "",
    )


def _runs_on(engine: EngineInfo) -> str:
    versions = " or later" if engine.version_compatible else ""
    gpus = " and other GPUs from Ampere on" if engine.hardware_compatible else ""
    return f"{engine.library.title} {engine.version}{versions} on {engine.gpu}{gpus}"

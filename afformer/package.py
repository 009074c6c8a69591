"""One folder with all that a device needs: the model, its spec and labels, and the C++ runtime with its examples."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import uuid
from pathlib import Path
from string import Template
from typing import Any

from afformer import assets
from afformer.errors import AfformerError, BackendError, OutputError
from afformer.files import make_folder
from afformer.inspection import read_spec
from afformer.runtime.backends.registry import backend_name
from afformer.spec import ModelSpec
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


def package_model(model: Path, folder: Path) -> Package:
    """Packs a model file, or an engine with the JSON beside it, for a device.

    Args:
        model: A `.onnx`, or a `.engine` with its JSON. An engine is not loaded: it need not run on this machine.
        folder: The folder to make; must be empty or not exist.

    Raises:
        AfformerError: The file is not such a model or has no spec, or the folder is not empty or cannot be written.
    """
    kind = backend_name(model)
    if kind not in ("onnxruntime", "tensorrt"):
        raise AfformerError(f"{model}: is not a model that a device runs; export it with `afformer-cli export`")
    spec, _ = read_spec(model)
    engine = _checked_engine(model) if kind == "tensorrt" else None
    _require_free(folder)
    make_folder(folder.parent)
    # under another name, so that nobody finds an incomplete package
    draft = folder.absolute().with_name(f".{uuid.uuid4().hex}")
    try:
        draft.mkdir()
        _fill(draft, model, spec, engine)
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error}); choose another place") from error
    finally:
        if draft.exists():
            shutil.rmtree(draft)
    files = tuple(sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()))
    return Package(folder, files, sum((folder / path).stat().st_size for path in files))


def cpp_sources() -> Path:
    """The folder of the C++ runtime: inside the installed package, or beside it in a checkout."""
    inside, beside = _PACKAGE / "cpp", _PACKAGE.parent / "cpp"
    return inside if inside.is_dir() else beside


def _require_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is not a folder; name a new one")
    if folder.exists() and any(folder.iterdir()):
        raise OutputError(f"{folder}: is not empty; name a new folder")
    if folder.resolve() == Path.cwd():
        raise OutputError(f"{folder}: is the current folder, which cannot be replaced; name a new one")


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
    shutil.copytree(cpp_sources(), draft / "cpp", ignore=shutil.ignore_patterns(*_NOT_PACKED))
    shutil.copyfile(_license(), draft / "cpp" / "LICENSE")
    (draft / "spec.json").write_text(spec.to_json() + "\n", encoding="utf-8")
    (draft / "labels.txt").write_text(_labels(spec), encoding="utf-8")
    (draft / "README.md").write_text(_readme(model.name, spec, engine), encoding="utf-8")


def _license() -> Path:
    """The file with this package's licence: in the metadata of the installed package, or in a checkout."""
    root = _PACKAGE.parent
    installed = sorted(root.glob("afformer-*.dist-info/licenses/LICENSE"))
    return installed[0] if installed else root / "LICENSE"


def _labels(spec: ModelSpec) -> str:
    rows = zip(spec.classes, spec.palette, strict=True)
    return "".join(f"{i}\t{name}\t{red}\t{green}\t{blue}\n" for i, (name, (red, green, blue)) in enumerate(rows))


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

"""One folder with all that a device needs: the model, what it says of itself, and the C++ runtime with its examples."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import uuid
from pathlib import Path
from string import Template
from typing import Any

import afformer
from afformer import assets
from afformer.errors import AfformerError, BackendError, OutputError
from afformer.files import make_folder
from afformer.runtime.backends.registry import backend_name
from afformer.runtime.opening import DEFAULT
from afformer.spec import ModelSpec
from afformer.tensorrt.plan_file import EngineFile, Library, json_path, require_plan

_READMES = Path(assets.__file__).parent / "package"
_NOT_NEEDED = ("tests", "build*", "__pycache__")
"""Of the C++ folder."""


@dataclasses.dataclass(frozen=True)
class Package:
    """What was packed.

    Attributes:
        folder: Where.
        files: All files, relative to it.
        bytes: Their sizes together.
    """

    folder: Path
    files: tuple[Path, ...]
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"folder": str(self.folder), "files": [path.as_posix() for path in self.files], "bytes": self.bytes}


def package_model(model: Path, folder: Path) -> Package:
    """Packs a model file, or an engine with the JSON beside it, for a device.

    Args:
        model: A `.onnx`, or a `.engine` with its JSON. A plan is not loaded: it need not run on this machine.
        folder: Where to; must be empty or not there.

    Raises:
        AfformerError: The file is no model or has no spec, or the folder holds something or cannot be written.
    """
    kind = backend_name(model)
    if kind not in ("onnxruntime", "tensorrt"):
        raise AfformerError(f"{model}: is no model that a device runs; export it with `afformer-cli export`")
    engine = _engine(model) if kind == "tensorrt" else None
    spec = engine.spec if engine else _spec_of(model)
    _require_free(folder)
    make_folder(folder.parent)
    # under another name, so that nobody finds half a package
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
    inside, beside = Path(afformer.__file__).parent / "cpp", Path(afformer.__file__).parents[1] / "cpp"
    return inside if inside.is_dir() else beside


def _require_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is no folder; name a new one")
    if folder.exists() and any(folder.iterdir()):
        raise OutputError(f"{folder}: is not empty; name a new folder")
    if folder.resolve() == Path.cwd():
        raise OutputError(f"{folder}: is the current folder, which cannot be replaced; name a new one")


def _spec_of(model: Path) -> ModelSpec:
    with DEFAULT.open_backend(model) as backend:
        return backend.spec


def _engine(plan: Path) -> EngineFile:
    """What lies beside a plan, if the plan is whole and the C++ runtime can run it."""
    require_plan(plan)
    engine = EngineFile.beside(plan)
    engine.read_plan(plan)
    if engine.library is not Library.TENSORRT:
        raise BackendError(
            f"{plan}: is an engine of {engine.library.title}, which the C++ runtime does not run; package its .onnx "
            "or an engine of TensorRT"
        )
    return engine


def _fill(draft: Path, model: Path, spec: ModelSpec, engine: EngineFile | None) -> None:
    shutil.copyfile(model, draft / model.name)
    if engine:
        shutil.copyfile(json_path(model), json_path(draft / model.name))
    shutil.copytree(cpp_sources(), draft / "cpp", ignore=shutil.ignore_patterns(*_NOT_NEEDED))
    shutil.copyfile(_license(), draft / "cpp" / "LICENSE")
    (draft / "spec.json").write_text(spec.to_json() + "\n", encoding="utf-8")
    (draft / "labels.txt").write_text(_labels(spec), encoding="utf-8")
    (draft / "README.md").write_text(_readme(model.name, spec, engine), encoding="utf-8")


def _license() -> Path:
    """The text of this package's licence: among the metadata of the installed package, or in a checkout."""
    root = Path(afformer.__file__).parents[1]
    installed = sorted(root.glob("afformer-*.dist-info/licenses/LICENSE"))
    return installed[0] if installed else root / "LICENSE"


def _labels(spec: ModelSpec) -> str:
    rows = zip(spec.classes, spec.palette, strict=True)
    return "".join(f"{i}\t{name}\t{red}\t{green}\t{blue}\n" for i, (name, (red, green, blue)) in enumerate(rows))


def _readme(model: str, spec: ModelSpec, engine: EngineFile | None) -> str:
    height, width = spec.input_hw
    text = (_READMES / ("engine.md" if engine else "onnx.md")).read_text(encoding="utf-8")
    return Template(text).substitute(
        name=f"AFFormer-{spec.variant} for {height}x{width} pictures",
        about=(
            f"Semantic segmentation into {spec.num_classes} classes ({spec.dataset}), {spec.precision.value}. Pictures "
            f"of any size are resized to {height}x{width} (height x width); the class map has the picture's own size."
        ),
        model=model,
        typed=shlex.quote(model),
        command=engine.command(model) if engine else "",
        runs_on=_runs_on(engine) if engine else "",
    )


def _runs_on(engine: EngineFile) -> str:
    versions = " or later" if engine.version_compatible else ""
    gpus = " and other GPUs from Ampere on" if engine.hardware_compatible else ""
    return f"{engine.library.title} {engine.version}{versions} on {engine.gpu}{gpus}"

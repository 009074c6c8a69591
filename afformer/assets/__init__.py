"""What ships with the package: a trained AFFormer-tiny for CamVid's classes, and two street pictures."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent

CHECKPOINT = _FOLDER / "afformer_tiny_camvid.safetensors"
"""AFFormer-tiny trained on CamVid, float16 weights; see MODEL_CARD.md beside it."""
MODEL = _FOLDER / "afformer_tiny_camvid_360x480.onnx"
"""The same exported at 360x480 with `--precision fp16`, for use without PyTorch."""


NAME = "tiny-camvid"
"""What the bundled model is called where a command takes a model or a checkpoint."""


def file_or_bundled(name: str | Path, bundled: Path = MODEL) -> Path:
    """The file of that name, or what is bundled if the name is `NAME` and there is no such file."""
    path = Path(name)
    return bundled if str(name) == NAME and not path.exists() else path


def pictures() -> list[Path]:
    """The bundled pictures; their origin and licences are in LICENSES.md beside them."""
    return sorted(_FOLDER.glob("*.jpg"))

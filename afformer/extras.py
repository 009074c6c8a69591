"""Packages that only some tasks need, and the commands that install them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from afformer.errors import AfformerError

EXPORT_PACKAGES = ("torch", "onnx", "onnxscript", "onnxsim", "safetensors")
"""What the extra `export` installs, by the names that are imported."""
_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
"""All packages that install `cv2`."""


@contextlib.contextmanager
def requires_extra(extra: str) -> Iterator[None]:
    """Turns a missing package into an error with the command that installs it.

    Raises:
        AfformerError: The body imported a module that is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise AfformerError(
            f"this needs the Python package '{error.name}', which is not installed; "
            f'run `pip install "afformer[{extra}]"`'
        ) from error


def opencv_command(*, windows: bool) -> str:
    """The command that installs OpenCV, with windows or as it was, and whole.

    Its packages all write the folder `cv2`: the one installed last is the one that runs, and one that is removed takes
    files of the others with it. So none is removed: pip would only bring the headless one back, which this package
    requires, over the one with windows.
    """
    found = [name for name in _OPENCV if _is_installed(name)]
    contrib = "-contrib" if any("contrib" in name for name in found) else ""
    headless = not windows and all("headless" in name for name in found)
    return f"pip install --force-reinstall --no-deps opencv{contrib}-python{'-headless' if headless else ''}"


def _is_installed(name: str) -> bool:
    import importlib.metadata  # takes time, which `--help` should not wait for

    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True

from __future__ import annotations

import importlib.metadata

import pytest

from afformer.extras import opencv_command


@pytest.mark.parametrize(
    ("installed", "windows", "package"),
    [
        ((), True, "opencv-python"),
        ((), False, "opencv-python-headless"),
        (("opencv-python-headless",), True, "opencv-python"),
        (("opencv-python", "opencv-python-headless"), True, "opencv-python"),
        (("opencv-python", "opencv-python-headless"), False, "opencv-python"),
        (("opencv-python-headless", "opencv-contrib-python"), True, "opencv-contrib-python"),
    ],
)
def test_opencv_is_installed_over_what_is_there_as_pip_would_bring_back_what_is_removed(
    monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...], windows: bool, package: str
) -> None:
    def distribution(name: str) -> object:
        if name in installed:
            return object()
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    assert opencv_command(windows=windows) == f"pip install --force-reinstall --no-deps {package}"

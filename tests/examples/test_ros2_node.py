"""The ROS 2 node, with a stand-in for `rclpy`."""

from __future__ import annotations

import numpy as np
import pytest

from afformer import Segmenter, assets
from afformer.images import read_image
from tests.builders import fake_rclpy
from tests.builders.cli import STREET
from tests.builders.example_programs import run_program


def message(encoding: str = "bgr8", padding: int = 5) -> fake_rclpy.Image:
    """The street as a camera driver sends it, its rows padded."""
    picture = read_image(STREET)
    height, width = picture.shape[:2]
    pixels = picture[..., ::-1] if encoding == "bgr8" else picture
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)))
    return fake_rclpy.Image("the camera's time", height, width, encoding, rows.shape[1], rows.tobytes())


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8"])
def test_a_picture_is_answered_with_its_classes_under_its_own_header(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    fake_rclpy.install(monkeypatch, lambda node: node.subscriptions["image"][0](message(encoding)))
    run_program(monkeypatch, "ros2_node.py")
    (node,) = fake_rclpy.Node.made
    (answer,) = node.publishers["classes"].messages
    with Segmenter(assets.MODEL) as segment:
        expected = segment(STREET)
    assert (answer.header, answer.encoding, answer.step) == ("the camera's time", "mono8", expected.shape[1])
    assert (np.frombuffer(answer.data, np.uint8).reshape(answer.height, answer.width) == expected).all()
    assert node.publishers["overlay"].messages == []
    assert node.subscriptions["image"][1].depth == 1
    assert node.destroyed


def test_overlays_are_drawn_for_listeners_and_bad_pictures_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def spin(node: fake_rclpy.Node) -> None:
        on_image, _ = node.subscriptions["image"]
        node.publishers["overlay"].listeners = 1
        on_image(fake_rclpy.Image(encoding="yuv422"))
        on_image(message())

    fake_rclpy.install(monkeypatch, spin)
    monkeypatch.setattr(fake_rclpy.Node, "parameters", {"model": str(assets.MODEL), "threads": 1})
    run_program(monkeypatch, "ros2_node.py")
    (node,) = fake_rclpy.Node.made
    assert [(kind, "yuv422" in text) for kind, text in node.logged] == [("info", False), ("error", True)]
    (overlay,) = node.publishers["overlay"].messages
    assert overlay.encoding == "rgb8"
    assert len(overlay.data) == 3 * overlay.height * overlay.width
    assert len(node.publishers["classes"].messages) == 1

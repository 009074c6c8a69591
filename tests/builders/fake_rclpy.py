"""A stand-in for the part of ROS 2's Python client that the example node uses."""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@dataclasses.dataclass
class Image:
    """sensor_msgs/Image."""

    header: object = None
    height: int = 0
    width: int = 0
    encoding: str = ""
    step: int = 0
    data: bytes = b""


class ReliabilityPolicy(enum.Enum):
    BEST_EFFORT = 2


@dataclasses.dataclass(frozen=True)
class QoSProfile:
    depth: int
    reliability: ReliabilityPolicy


class Publisher:
    def __init__(self) -> None:
        self.messages: list[Image] = []
        self.listeners = 0

    def publish(self, message: Image) -> None:
        self.messages.append(message)

    def get_subscription_count(self) -> int:
        return self.listeners


class Node:
    """A node whose topics, parameters and log a test sees."""

    parameters: dict[str, Any] = {}  # noqa: RUF012 - what `--ros-args -p` gives, replaced by tests
    made: list[Node] = []  # noqa: RUF012

    def __init__(self, name: str) -> None:
        self.name = name
        self.publishers: dict[str, Publisher] = {}
        self.subscriptions: dict[str, tuple[Callable[[Image], None], QoSProfile]] = {}
        self.logged: list[tuple[str, str]] = []
        self.destroyed = False
        Node.made.append(self)

    def declare_parameter(self, name: str, default: object) -> SimpleNamespace:
        return SimpleNamespace(value=self.parameters.get(name, default))

    def create_publisher(self, message: type[Image], topic: str, depth: int) -> Publisher:
        return self.publishers.setdefault(topic, Publisher())

    def create_subscription(
        self, message: type[Image], topic: str, callback: Callable[[Image], None], qos: QoSProfile
    ) -> None:
        self.subscriptions[topic] = (callback, qos)

    def get_logger(self) -> SimpleNamespace:
        return SimpleNamespace(
            info=lambda text: self.logged.append(("info", text)), error=lambda text: self.logged.append(("error", text))
        )

    def destroy_node(self) -> None:
        self.destroyed = True


def install(monkeypatch: pytest.MonkeyPatch, spin: Callable[[Node], None] = lambda node: None) -> None:
    """Makes the stand-in importable; `spin` is what happens while the node runs."""
    monkeypatch.setattr(Node, "made", [])
    nothing: Callable[[], None] = lambda: None  # noqa: E731
    modules: dict[str, dict[str, object]] = {
        "rclpy": {"init": nothing, "spin": spin, "try_shutdown": nothing},
        "rclpy.node": {"Node": Node},
        "rclpy.qos": {"QoSProfile": QoSProfile, "ReliabilityPolicy": ReliabilityPolicy},
        "sensor_msgs": {},
        "sensor_msgs.msg": {"Image": Image},
    }
    for name, contents in modules.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)

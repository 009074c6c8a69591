"""A ROS 2 node: camera pictures in, class maps and overlays out.

    python examples/ros2_node.py --ros-args -p model:=/path/model.onnx -r image:=/camera/image_raw

A sketch: its test runs it with a stand-in for `rclpy`, and it has not been run on a ROS 2 system.

| topic | type | |
|---|---|---|
| `image` | sensor_msgs/Image, `bgr8` or `rgb8` | in; queue of 1, so that the node works on the newest picture |
| `classes` | sensor_msgs/Image, `mono8` | out: class ids; at most 256 classes |
| `overlay` | sensor_msgs/Image, `rgb8` | out, drawn only while somebody listens |
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from afformer import AfformerError, Segmenter, assets
from afformer.runtime.render import Renderer

Pixels = npt.NDArray[np.uint8]


def rgb_of(message: Image) -> Pixels:
    """The pixels of a message, `(H, W, 3)` RGB, without the padding that its rows may have.

    Raises:
        ValueError: The encoding is neither bgr8 nor rgb8, or the data is short.
    """
    if message.encoding not in ("bgr8", "rgb8"):
        raise ValueError(f"encoding is {message.encoding}, expected bgr8 or rgb8")
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    pixels = rows[:, : 3 * message.width].reshape(message.height, message.width, 3)
    return np.ascontiguousarray(pixels[..., ::-1] if message.encoding == "bgr8" else pixels)


def message_of(pixels: Pixels, encoding: str, like: Image) -> Image:
    """A message with the header of `like`, so that its time and frame are those of the camera's picture."""
    height, width = pixels.shape[:2]
    message = Image()
    message.header, message.encoding = like.header, encoding
    message.height, message.width, message.step = height, width, pixels.strides[0]
    message.data = pixels.tobytes()
    return message


class SegmentationNode(Node):
    """Segments what arrives on `image`."""

    def __init__(self) -> None:
        super().__init__("afformer")
        model = self.declare_parameter("model", assets.NAME).value
        threads = self.declare_parameter("threads", 0).value
        self._segment = Segmenter(assets.file_or_bundled(model), threads=threads)
        spec = self._segment.spec
        if spec.num_classes > 256:
            raise SystemExit(f"{model}: has {spec.num_classes} classes, and mono8 holds 256; publish mono16 instead")
        self._draw = Renderer(spec.classes, spec.palette, outlines=True)
        self._classes = self.create_publisher(Image, "classes", 1)
        self._overlay = self.create_publisher(Image, "overlay", 1)
        # A picture that comes late is worth nothing: only the newest waits, and none is sent twice.
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(Image, "image", self.on_image, newest)
        self.get_logger().info(f"{model} on {self._segment.backend.description}")

    def on_image(self, message: Image) -> None:
        """Segments one picture; one that cannot be used is reported, and the node goes on."""
        try:
            rgb = rgb_of(message)
            classmap = self._segment(rgb)
        except (ValueError, AfformerError) as error:
            self.get_logger().error(str(error))
            return
        self._classes.publish(message_of(classmap.astype(np.uint8), "mono8", message))
        if self._overlay.get_subscription_count():
            self._overlay.publish(message_of(self._draw.overlay(rgb, classmap, follow=True), "rgb8", message))


def main() -> None:
    """Runs the node until it is stopped."""
    rclpy.init()
    node = SegmentationNode()
    try:
        rclpy.spin(node)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()

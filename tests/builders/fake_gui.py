"""A window toolkit that only pretends."""

from __future__ import annotations

from afformer.images import RGBImage


class FakeGui:
    """Gives the keys one at a time, "" for none; the user closes the window at `X`."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)
        self.pictures: list[RGBImage] = []
        self.waits: list[int] = []
        self.open = True

    def show(self, picture: RGBImage) -> None:
        self.pictures.append(picture.copy())

    def key(self, wait_ms: int) -> str:
        self.waits.append(wait_ms)
        key = self.keys.pop(0) if self.keys else ""
        self.open = key != "X"
        return key

    def is_open(self) -> bool:
        return self.open

    def close(self) -> None:
        self.open = False

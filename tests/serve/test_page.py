"""The page in a real browser: Debian's chromium, without a screen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.builders.serving import Running

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs chromium (apt-get install chromium)", allow_module_level=True)

Page = Any
ARGUMENTS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def page(browser: Any, server: Running, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page; nothing that it loads, and nothing that it says, may go wrong."""
    width, height = request.param
    opened = browser.new_page(viewport={"width": width, "height": height})
    opened.set_default_timeout(60_000)
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda sent: problems.append(sent.url) if is_foreign(sent.url, server) else None)
    opened.goto(f"http://{server.address}/")
    yield opened
    opened.close()
    assert problems == []


def is_foreign(url: str, server: Running) -> bool:
    return not url.startswith((f"http://{server.address}/", "data:", "blob:"))


@pytest.fixture
def picture_file(tmp_path: Path) -> Path:
    """Left half night, right half day."""
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[:, 150:] = 255
    path = tmp_path / "halves.png"
    cv2.imwrite(str(path), pixels)
    return path


def test_a_picture_is_shown_with_its_classes_and_times(page: Page, picture_file: Path) -> None:
    page.set_input_files("#file", picture_file)
    page.wait_for_selector("#result:not([hidden])")
    names = page.locator("#legend li").all_inner_texts()
    assert any(name.startswith("night") for name in names)
    assert any(name.startswith("day") for name in names)
    times = page.locator("#times").inner_text()
    assert all(stage in times for stage in ("decode", "wait", "network", "total"))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"


def test_a_picture_may_be_there_before_the_models_are_known(page: Page, picture_file: Path) -> None:
    held: list[Any] = []
    page.route("**/v1/models", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks it
    page.reload()
    page.set_input_files("#file", picture_file)
    page.wait_for_selector("#stage.busy")
    for route in held:
        route.continue_()
    page.wait_for_selector("#result:not([hidden])")


def test_the_class_under_the_pointer_is_named(page: Page, picture_file: Path) -> None:
    page.set_input_files("#file", picture_file)
    page.wait_for_selector("#result:not([hidden])")
    box = page.locator("#canvas").bounding_box()
    for share, name in ((0.2, "night"), (0.8, "day")):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
        assert page.locator("#pointed").inner_text() == name
        assert page.locator("#legend li.on").inner_text().startswith(name)


def test_another_model_sees_the_picture_again(page: Page, picture_file: Path, server: Running) -> None:
    page.set_input_files("#file", picture_file)
    page.wait_for_selector("#result:not([hidden])")
    with page.expect_response(lambda response: "/v1/segment" in response.url) as seen:
        page.select_option("#model", "batch")
    assert seen.value.headers["x-model"] == "batch"


def test_what_is_not_a_picture_is_said(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"hello")
    page.set_input_files("#file", path)
    page.wait_for_selector("#message.error")
    assert "not a picture" in page.locator("#message").inner_text()


def test_what_is_said_of_a_picture_outlives_the_start_of_the_page(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"hello")
    held: list[Any] = []
    page.route("**/v1/models", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks its handlers
    page.reload()
    page.set_input_files("#file", path)
    page.wait_for_selector("#message.error")
    with page.expect_response("**/v1/models"):
        held[0].continue_()
    page.wait_for_selector("#model option", state="attached")
    assert "not a picture" in page.locator("#message").inner_text()


def test_the_camera_is_segmented_until_it_is_stopped(page: Page) -> None:
    page.click("#camera")
    for _ in range(2):
        with page.expect_response(lambda response: "/v1/segment" in response.url) as seen:
            pass
        assert seen.value.status == 200
    page.click("#camera")
    page.wait_for_function("document.getElementById('camera').textContent === 'Camera'")
    assert page.locator("#message.error").count() == 0


def test_the_pages_of_the_interface_are_generated(page: Page, server: Running) -> None:
    page.goto(f"http://{server.address}/docs")
    page.locator(".opblock-summary-path", has_text="segment").wait_for()

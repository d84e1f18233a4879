"""FiftyOne's App in headless Chromium: opened at a dataset, filtered, looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from tests import fiftyone_server

# Milliseconds; the App loads some megabytes of scripts, on a loaded machine slowly.
PATIENCE = 90_000
SETTLED = 1_500
# The colours of kpkit.qa.fiftyone_fields, as the App paints points with them. BGR
GREEN, ORANGE = (0x84, 0xDC, 0x3D), (0x00, 0x5C, 0xFF)


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A Chromium that asks no other machine for anything."""
    from playwright.sync_api import sync_playwright

    program = fiftyone_server.chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        context = chromium.new_context(viewport={"width": 1400, "height": 900})
        context.set_default_timeout(PATIENCE)
        context.route(lambda url: "//127.0.0.1" not in url and url.startswith("http"), lambda route, _: route.abort())
        yield context
        chromium.close()


def open_dataset(context: Any, url: str) -> Any:
    """A page with the dataset's pictures drawn."""
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector('[data-cy="looker"]')
    # An advertisement of FiftyOne's makers lies over the pictures, in some versions.
    with contextlib.suppress(Exception):
        page.click("text=Dismiss", timeout=4_000)
    page.wait_for_timeout(SETTLED)
    return page


def toggle(page: Any, *fields: str) -> None:
    """Click the check boxes of label fields."""
    for field in fields:
        page.click(f'[data-cy="checkbox-{field}"] >> nth=0')
    page.wait_for_timeout(SETTLED)


def keep_only(page: Any, word: str) -> None:
    """Show only the joints of one word, by the filter in the sidebar."""
    page.click('[data-cy="sidebar-field-arrow-enabled-keypoints"]')
    choice = page.locator('[data-cy="categorical-filter-keypoints.keypoints.visibility"]')
    choice.scroll_into_view_if_needed()
    field = choice.locator("input").first
    field.click()
    field.fill(word)
    page.wait_for_timeout(SETTLED)
    field.press("Enter")
    page.wait_for_timeout(2 * SETTLED)


def open_picture(page: Any, number: int) -> None:
    """Open one picture large."""
    place = page.locator('[data-cy="looker"]').nth(number).bounding_box()
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.move(x, y)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)
    page.wait_for_selector('[data-cy="modal"]')
    page.wait_for_timeout(2 * SETTLED)


def screenshot(page: Any) -> np.ndarray:
    """What is to be seen.  [h,w,3] uint8 BGR"""
    return cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)


def painted(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """How many pixels right of the sidebar have a colour of kpkit's points."""
    near = np.abs(picture[150:, 310:].astype(int) - np.array(colour)).max(axis=2) <= 24
    return int(near.sum())

"""A page of our own in headless Chromium, and what it asks for or complains about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests import fiftyone_server

PATIENCE = 60_000


@contextlib.contextmanager
def open_page(file: Path, *, width: int = 1200, height: int = 900) -> Iterator[Any]:
    """A file shown in a window of this size. `page.kpkit_requests` and `page.kpkit_errors` list what happened.

    Skips the test where there is no browser.
    """
    program = fiftyone_server.chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_context(viewport={"width": width, "height": height}).new_page()
        page.set_default_timeout(PATIENCE)
        page.kpkit_requests, page.kpkit_errors = [], []
        page.on("request", lambda request: page.kpkit_requests.append(request.url))
        page.on("pageerror", lambda error: page.kpkit_errors.append(str(error)))
        page.on("console", lambda said: page.kpkit_errors.append(said.text) if said.type != "log" else None)
        page.goto(file.resolve().as_uri())
        page.wait_for_load_state("networkidle")
        yield page
        chromium.close()


def screenshot(page: Any, *, whole: bool = False) -> np.ndarray:
    """What is to be seen, or all of the page.  [h,w,3] uint8 BGR"""
    return cv2.imdecode(np.frombuffer(page.screenshot(full_page=whole), np.uint8), cv2.IMREAD_COLOR)

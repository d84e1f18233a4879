"""Makes the pictures of docs/guide/qa.md: docs/images/findings.jpg and docs/images/report.jpg.

    python docs/make_qa_pictures.py [DIR]

The page's own commands are run in a demo's folder; the report is photographed in headless Chromium. Needs
`pip install -e '.[test]'` and a Chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import cv2

TOP = Path(__file__).resolve().parents[1]
PAGE = TOP / "docs" / "guide" / "qa.md"
WIDTH, QUALITY = 1000, 82


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else TOP / "docs" / "images"
    sys.path[:0] = [str(TOP), str(TOP / "docs")]
    from make_examples import Runner, blocks

    from kpkit.pipelines import demo
    from tests import browser

    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "demo"
        demo.run(demo.DemoJob(folder=made))
        folder = Path(temporary) / "page"
        shutil.copytree(made, folder)
        runner = Runner(folder)
        for block in blocks(PAGE.read_text(encoding="utf-8")):
            if not block.skipped:
                runner.console(block) if block.language == "console" else runner.python(block)
        save(cv2.imread(str(folder / "findings.png")), out / "findings.jpg")
        with browser.open_page(folder / "stats-broken.html", width=1200, height=1100) as page:
            save(browser.screenshot(page), out / "report.jpg")


def save(picture: cv2.typing.MatLike, path: Path) -> None:
    """As a JPEG, no wider than the pages."""
    if picture.shape[1] > WIDTH:
        height = round(picture.shape[0] * WIDTH / picture.shape[1])
        picture = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


if __name__ == "__main__":
    main()

"""Makes docs/images/view.jpg: the demo's labels in FiftyOne's App, photographed in headless Chromium.

    python docs/make_view_picture.py [OUT.jpg]

Needs `pip install -e '.[test,qa]'` and a Chromium. The database is one of its own, in a temporary folder.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import cv2

TOP = Path(__file__).resolve().parents[1]
WIDTH, QUALITY = 1000, 80
PICTURE = 3


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else TOP / "docs" / "images" / "view.jpg"
    sys.path.insert(0, str(TOP))
    from kpkit.pipelines import demo, view
    from kpkit.pipelines.load import LabelSource
    from kpkit.pipelines.view_app import AppJob, open_app
    from tests import fiftyone_browser, fiftyone_server

    with tempfile.TemporaryDirectory() as folder, fiftyone_server.serve() as uri:
        os.environ["FIFTYONE_DATABASE_URI"] = uri
        demo.run(demo.DemoJob(folder=Path(folder) / "demo"))
        view.run(view.ViewJob(source=LabelSource(input=Path(folder) / "demo" / "coco"), name="kpkit-demo"))
        with open_app("kpkit-demo", AppJob(remote=True)) as app, fiftyone_browser.browser() as context:
            page = fiftyone_browser.open_dataset(context, app.url)
            fiftyone_browser.open_picture(page, PICTURE)
            # Paths and times of this run are nobody's concern.
            page.click('[data-cy="modal"] [data-cy="sidebar-group-primitives-field"]')
            page.wait_for_timeout(1000)
            picture = fiftyone_browser.screenshot(page)
        height = round(picture.shape[0] * WIDTH / picture.shape[1])
        small = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(out), small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        fiftyone_server.leave()


if __name__ == "__main__":
    main()

"""Datumaro: import a dataset, export its person keypoints as COCO, no images.

    python datumaro_convert.py FORMAT SOURCE TARGET_FOLDER

FORMAT   "coco_person_keypoints" or "mpii"
SOURCE   a folder: Datumaro finds datasets by the layout of their folder, so the file is linked to where it looks
"""

from __future__ import annotations

import sys

from datumaro import Dataset

Dataset.import_from(sys.argv[2], sys.argv[1]).export(sys.argv[3], "coco_person_keypoints", save_media=False)

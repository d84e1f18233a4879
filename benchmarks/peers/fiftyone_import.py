"""FiftyOne's own importer of COCO keypoints.

    python fiftyone_import.py LABELS.json IMAGES NAME

Prints the seconds from the start of the import of the labels to the end, FiftyOne's own loading left out.
"""

from __future__ import annotations

import sys
import time

import fiftyone

labels, images, name = sys.argv[1:]
fiftyone.config.show_progress_bars = False
started = time.perf_counter()
dataset = fiftyone.Dataset.from_dir(
    dataset_type=fiftyone.types.COCODetectionDataset,
    data_path=images,
    labels_path=labels,
    label_types=["detections", "keypoints"],
    name=name,
    overwrite=True,
)
seconds = time.perf_counter() - started
counted = dataset.count("keypoints.keypoints")
print(f"{seconds:.3f} s, {len(dataset)} samples, {counted} keypoints")
dataset.delete()

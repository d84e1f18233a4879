"""The dataset as a pandas table. Pandas is imported only when this is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from kpkit.core.dataset import Dataset


def to_frame(dataset: Dataset) -> pd.DataFrame:
    """One row an instance.

    Columns: image_id, image, width, height, split, instance_id, category_id, bbox_x/y/w/h, bbox_source, area, is_crowd,
    score, track_id, then <joint>_x, <joint>_y (pixels, NaN where unlabelled), <joint>_v (0/1/2), <joint>_truncated.
    """
    import pandas as pd

    from kpkit.core.dataset import BBOX_SOURCES

    images, rows = dataset.images, dataset.image_index
    columns: dict[str, Any] = {
        "image_id": images.id[rows],
        "image": images.path[rows],
        "width": images.width[rows],
        "height": images.height[rows],
        "split": images.split[rows],
        "instance_id": dataset.instance_id,
        "category_id": dataset.category_id,
        **{f"bbox_{axis}": dataset.bbox_xywh[:, i] for i, axis in enumerate("xywh")},
        "bbox_source": [BBOX_SOURCES[i] for i in dataset.bbox_source],
        "area": dataset.area,
        "is_crowd": dataset.is_crowd,
        "score": dataset.score,
        "track_id": dataset.track_id,
    }
    for k, joint in enumerate(dataset.skeleton.keypoints):
        columns[f"{joint}_x"] = dataset.xy[:, k, 0]
        columns[f"{joint}_y"] = dataset.xy[:, k, 1]
        columns[f"{joint}_v"] = dataset.visibility[:, k]
        columns[f"{joint}_truncated"] = dataset.truncated[:, k]
    return pd.DataFrame(columns)

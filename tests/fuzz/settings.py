"""Readers of files that are no labels, and `validate`, which reads on where other commands stop."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from kpkit.augment import recipe
from kpkit.augment.photometric import load_pipeline
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.pipelines import validate
from kpkit.pipelines.find import get_format
from kpkit.pipelines.load import LabelSource
from kpkit.testing.samples import sample

TOP = Path(__file__).resolve().parents[2]
SHOWN = 3
TRANSFORMS = [
    {"__class_fullname__": "HorizontalFlip", "p": 0.5},
    {
        "__class_fullname__": "RandomBrightnessContrast",
        "brightness_limit": [-0.2, 0.2],
        "contrast_limit": 0.1,
        "p": 1.0,
    },
    {"__class_fullname__": "Affine", "rotate": [-30, 30], "scale": {"x": [0.8, 1.2], "y": 1.0}, "border_mode": 0},
    {
        "__class_fullname__": "OneOf",
        "transforms": [
            {"__class_fullname__": "GaussNoise", "std_range": [0.1, 0.2], "p": 1.0},
            {"__class_fullname__": "CoarseDropout", "num_holes_range": [1, 3], "fill": 0, "p": 0.5},
        ],
        "p": 0.3,
    },
]


def recipe_seeds(folder: Path) -> list[Path]:
    """The shipped recipes, and the example."""
    files = [*sorted((TOP / "schemas" / "recipes").glob("*.toml")), TOP / "examples" / "recipe.toml"]
    return [Path(shutil.copy(file, folder / f"{number}-{file.name}")) for number, file in enumerate(files)]


def read_recipe(path: Path, collector: Collector) -> Dataset:
    """What `--recipe FILE` does, and what every run asks of a recipe."""
    found = recipe.load(str(path))
    json.dumps(found.to_dict(), allow_nan=False)
    found.content_hash()
    return sample(get_format("coco").keeps_for(path))


def pipeline_seeds(folder: Path) -> list[Path]:
    """A pipeline as Albumentations saves it, in both of its forms."""
    document = {
        "__version__": "2.0.8",
        "transform": {"__class_fullname__": "Compose", "p": 1.0, "transforms": TRANSFORMS, "seed": None},
    }
    (folder / "pipeline.json").write_text(json.dumps(document))
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(document))
    return [folder / "pipeline.json", folder / "pipeline.yaml"]


def read_pipeline(path: Path, collector: Collector) -> Dataset:
    """What `--albumentations FILE` does."""
    load_pipeline(path)
    return sample(get_format("coco").keeps_for(path))


def validator(name: str) -> Callable[[Path, Collector], Dataset]:
    """Every rule over a file that is read on after its errors, and all that is said of what they find."""

    def read(path: Path, collector: Collector) -> Dataset:
        job = validate.ValidateJob(source=LabelSource(input=path, from_=name))
        found = validate.run(job)
        assert found.tally is not None
        for one in found.findings(SHOWN):
            json.dumps(one.as_dict(), allow_nan=False)
        json.dumps(found.counts)
        return sample(get_format("coco").keeps_for(path))

    return read

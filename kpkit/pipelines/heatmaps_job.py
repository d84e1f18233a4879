"""What `heatmaps` is asked for, and its account."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kpkit.augment.images import MAX_PIXELS
from kpkit.augment.recipe import Recipe
from kpkit.core.report import Issue, Loss
from kpkit.execute import Failure
from kpkit.pipelines.load import LabelSource
from kpkit.targets.base import StoredType
from kpkit.targets.deflate import Compression
from kpkit.targets.shard_layout import Store

SCHEMA_VERSION = 1
INPUT_SIZE = (256, 192)
WHOLE_SIZE = (512, 512)
PADDING = 1.25
SHARD_SAMPLES = 4096

OccludedTarget = Literal["ignore", "absent", "keep"]
SpatialWeights = Literal["none", "center"]


@dataclass(frozen=True, kw_only=True)
class HeatmapsJob:
    """What to render and how; the fields are the options of `kpkit heatmaps`.

    source         where the labels are         output  folder; None: kpkit-out/heatmaps-FORMAT
    codec, codec_parameters                     see kpkit.targets.make
    input_size     (height, width) pixels; None: the recipe's, else 256x192, or 512x512 for whole pictures
    heatmap_size   (height, width) cells; None: a quarter of the input
    shard_samples  samples a shard; 0: as many as fit into shard_bytes before compression
    recipe         None: every person once, cut straight        copies  augmented copies a person (with a recipe)
    include_original  the straight crops, too, beside the copies of a recipe
    flip_copies    every sample a second time, mirrored
    spatial_weights  weights by place, stored once a shard: none, or a rule of kpkit.targets.weights
    occluded_target  what the target of a covered joint is      padding  how much larger than its box a crop is
    resume         keep what an earlier run of the same job finished
    scheduler      of a Dask cluster; "": `workers` processes here         wait  for another run on the output
    """

    source: LabelSource = field(default_factory=LabelSource)
    output: Path | None = None
    codec: str = "msra"
    codec_parameters: dict[str, Any] = field(default_factory=dict)
    input_size: tuple[int, int] | None = None
    heatmap_size: tuple[int, int] | None = None
    dtype: StoredType = "float16"
    store: Store = "heatmaps"
    compression: Compression = "gzip"
    shard_samples: int = SHARD_SAMPLES
    shard_bytes: int = 0
    with_images: bool = False
    recipe: Recipe | None = None
    copies: int = 1
    include_original: bool = False
    flip_copies: bool = False
    occluded_target: OccludedTarget = "ignore"
    spatial_weights: SpatialWeights = "none"
    padding: float = PADDING
    seed: int = 0
    workers: int = 1
    exif: str = "auto"
    max_pixels: int = MAX_PIXELS
    allow_unpaired: bool = False
    scheduler: str = ""
    resume: bool = False
    wait: bool = False
    force: bool = False
    dry_run: bool = False


@dataclass
class HeatmapsReport:
    """The account of one run.

    samples, shards  all in the folder       kept    shards that an earlier run made
    persons          that have samples       losses  persons that have none, and why
    masked           of them: without targets on a whole picture
    arrays           name -> bytes a sample, before compression
    bytes            of all shards           failures  pictures that could not be used
    covered          joints that something covers
    profile          seconds of all workers, by step
    """

    input: str
    output: str
    format: str
    codec: dict[str, Any]
    store: str
    dtype: str
    compression: str
    dry_run: bool
    workers: int = 1
    persons: int = 0
    samples: int = 0
    shards: int = 0
    kept: int = 0
    bytes: int = 0
    covered: int = 0
    masked: int = 0
    arrays: dict[str, int] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    profile: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the schema version."""
        return {"schema_version": SCHEMA_VERSION, "command": "heatmaps", **asdict(self)}

"""What `augment` is asked for, and its account."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kpkit.augment.images import MAX_PIXELS
from kpkit.augment.recipe import Recipe
from kpkit.core.report import Issue, Loss
from kpkit.execute import Failure

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class AugmentJob:
    """What to augment and how; the fields are the options of `kpkit augment`.

    input     labels; None: the one candidate in `folder`      from_, to  formats; "" told by content, and kept
    output    folder; None: kpkit-out/augment-FORMAT            copies     augmented copies an image
    images    folder of the pictures; None: looked for beside the labels
    preview   PNG sheet of before and after                    drop_empty  leave out persons without a labelled joint
    resume    go on with a run that was ended                  wait  for another run on the output, instead of refusing
    scheduler of a Dask cluster; "": `workers` processes here
    """

    input: Path | None = None
    output: Path | None = None
    folder: Path = Path()
    from_: str = ""
    to: str = ""
    recipe: Recipe = field(default_factory=Recipe)
    copies: int = 1
    include_original: bool = False
    seed: int = 0
    workers: int = 1
    quality: int = 95
    image_format: str = "jpg"
    images: Path | None = None
    image_sizes: Path | None = None
    exif: str = "auto"
    max_pixels: int = MAX_PIXELS
    drop_empty: bool = False
    allow_unpaired: bool = False
    preview: Path | None = None
    force: bool = False
    dry_run: bool = False
    resume: bool = False
    wait: bool = False
    scheduler: str = ""


@dataclass
class AugmentReport:
    """The account of one run.

    counts      what was written                        failures  images that failed: key, code, message
    left_frame  joints that left the frame              covered   joints that something covers
    lost        points that a user's pipeline made impossible
    rows        path of the provenance rows             preview   path of the sheet, "" for none
    profile     seconds of all workers, by step         workers   how many
    kept        images that an earlier run had finished
    """

    input: str
    output: str
    format: str
    recipe: dict[str, Any]
    recipe_hash: str
    dry_run: bool
    counts: dict[str, int] = field(default_factory=dict)
    left_frame: int = 0
    covered: int = 0
    lost: int = 0
    rows: str = ""
    preview: str = ""
    workers: int = 1
    kept: int = 0
    losses: list[Loss] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    profile: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with the schema version."""
        return {"schema_version": SCHEMA_VERSION, "command": "augment", **asdict(self)}

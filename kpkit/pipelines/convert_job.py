"""What `convert` is asked to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kpkit.formats.base import Format

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class ConvertJob:
    """What to convert and how; the fields are the options of `kpkit convert`.

    source, target  names of formats      inputs  files or folders; empty: look in `folder`
    output          file or folder; None: kpkit-out/convert-TARGET in `folder`
    bbox, bbox_pad  see kpkit.core.boxes; bbox None: "auto" where the target has boxes and the labels came from another
                    format
    part_size       persons or images in a part of a native output; 0: not cut, unless the input is large
    workers         processes, for inputs that are read in parts
    scheduler       of a Dask cluster that reads them instead
    wait            for another run on the output, instead of refusing
    resume          keep the parts that an earlier run of the same job finished
    """

    source: str
    target: str
    inputs: tuple[Path, ...] = ()
    output: Path | None = None
    folder: Path = Path()
    skeleton: str | None = None
    keep_skeleton: bool = False
    images: Path | None = None
    image_sizes: Path | None = None
    copy_images: bool = False
    link_images: bool = False
    image_list: Path | None = None
    layout: Path | None = None
    bbox: str | None = None
    bbox_pad: float = 0.25
    sigmas: str | None = None
    strict: bool = False
    report: Path | None = None
    force: bool = False
    dry_run: bool = False
    low_memory: bool = False
    part_size: int = 0
    workers: int = 1
    scheduler: str = ""
    wait: bool = False
    resume: bool = False


@dataclass(frozen=True)
class Place:
    """Where an output goes: `output` itself, or the format's usual place `inside` it; `is_folder`: it is a folder."""

    output: Path
    inside: bool
    is_folder: bool

    def labels(self, target: Format, output: Path) -> Path:
        """Where the labels stand in `output`, which may be what stands for the output while it is written."""
        return output / target.default_output if self.inside else output

"""What is added up over the blocks of an augmentation, and put into its report at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from kpkit.core.dataset import Dataset
from kpkit.core.report import PLACES_KEPT, Collector, Loss
from kpkit.pipelines.augment_fields import count_left_out, field_losses
from kpkit.pipelines.augment_images import Block, SourceImage
from kpkit.pipelines.augment_job import AugmentReport
from kpkit.pipelines.augment_prepare import Work
from kpkit.pipelines.augment_task import Done

# What augment.parquet holds, whatever the labels' format can; of masks those of images.
IN_ROWS = frozenset({"augment.source_image", "augment.copy", "augment.occluded_by", "augment.occlusion_mask"})
GHOSTS = "coco.unlabelled_coordinates"
NOTES = {
    "16-bit": "16-bit pictures were scaled to 8 bits",
    "exif-applied": "pictures were turned as their EXIF tag says",
    "exif-ignored": "the EXIF turn of pictures was ignored: the labels mean the stored pixels",
    "exif-undecided": "an EXIF turn was ignored; the size does not tell whether the labels mean it (--exif)",
}

Results = Sequence[tuple[SourceImage, Done]]


class Account:
    """The sums; images and persons are known by numbers alone, so that it stays small."""

    def __init__(self, work: Work, report: AugmentReport) -> None:
        self._work, self._report = work, report
        self._dropped = self._unboxed = self._empty = self._several = self._bad_polygons = 0
        self._left_out: Counter[str] = Counter()
        self._losses: dict[tuple[str, str], Loss] = {}
        self._noted: Counter[str] = Counter()
        self._places: dict[str, list[str]] = {code: [] for code in NOTES}

    def add(self, block: Block, done: Results, augmented: Dataset) -> None:
        """Add what came of a block.

        done  of every image that worked    augmented  the labels that were made of them
        """
        report, results = self._report, [result for _, result in done]
        rows = [row for result in results for output in result.outputs for row in output.rows]
        for name, count in augmented.counts().items():
            report.counts[name] = report.counts.get(name, 0) + count
        report.left_frame += sum(len(row.left_frame) for row in rows)
        report.covered += sum(len(row.occluded_by) for row in rows)
        report.lost += sum(row.lost for row in rows)
        for result in results:
            for step, seconds in result.seconds.items():
                report.profile[step] = report.profile.get(step, 0.0) + seconds
        self._dropped += len(rows) - len(augmented)
        self._unboxed += sum(result.unboxed for result in results)
        self._empty += sum(result.empty for result in results)
        self._several += sum(len(image.rows) - 1 for image in block.images)
        self._bad_polygons += block.fields.bad_polygons
        count_left_out(block.fields, self._left_out)
        self._add_losses(augmented)
        for code, places in self._places.items():
            noted = [image.key for image, result in done if code in result.notes]
            self._noted[code] += len(noted)
            places += noted[: PLACES_KEPT - len(places)]

    def _add_losses(self, augmented: Dataset) -> None:
        work = self._work
        for loss in work.target.losses(augmented, work.output / work.place):
            if loss.what not in IN_ROWS or loss.what in augmented.extras.keys() - {"augment.occluded_by"}:
                known = self._losses.setdefault((loss.what, loss.why), Loss(loss.what, 0, loss.why, loss.example))
                known.count += loss.count

    def losses(self, written: Iterable[Loss]) -> list[Loss]:
        """All that the output does not hold.

        written  what the writer left out
        """
        if self._work.labels.keys.ghosts:
            self._left_out[GHOSTS] = self._work.labels.keys.ghosts
        found = field_losses(self._left_out, self._bad_polygons)
        if self._unboxed:
            why = "crowds, and persons without a box or a labelled joint, have no crop"
            found.append(Loss("instances", self._unboxed, why))
        return [*found, *self._losses.values(), *written]

    def notes(self, collector: Collector) -> None:
        """Say what was noticed."""
        words = "persons without a labelled joint were dropped (--drop-empty)"
        collector.note("KP-AUGMENT-EMPTY", words, count=self._dropped)
        for code, message in NOTES.items():
            collector.issue(
                f"KP-IMAGE-{code.upper()}",
                message,
                count=self._noted[code],
                places=self._places[code],
                severity="warning" if code == "exif-undecided" else "note",
            )
        several = "image rows of one file are one image in the output"
        collector.note("KP-IMAGE-SEVERAL", several, count=self._several)
        empty = "crops without a labelled joint were left out (--drop-empty)"
        collector.note("KP-AUGMENT-EMPTY", empty, count=self._empty)
        still = self._work.job.recipe
        if not (still.is_spatial or still.occlusion or still.albumentations):
            collector.issue(
                "KP-AUGMENT-NOTHING",
                "the recipe changes nothing: the pictures are copied",
                help="e.g. kpkit augment --recipe six2, or --occlusion 0.3",
            )


__all__ = ["Account", "Results"]

"""Block after block: images are augmented by workers, and what comes of them is put together as labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kpkit.core.boxes import with_areas
from kpkit.core.dataset import Dataset
from kpkit.errors import OutputError
from kpkit.execute import Failure, pool_for, run_tasks
from kpkit.execute.base import Pool
from kpkit.pipelines.augment_account import Account, Results
from kpkit.pipelines.augment_blocks import Progress
from kpkit.pipelines.augment_files import Names, remove_strays
from kpkit.pipelines.augment_images import Block, tasks
from kpkit.pipelines.augment_job import AugmentReport
from kpkit.pipelines.augment_keep import Kept
from kpkit.pipelines.augment_labels import Made, Order, assemble, own_boxes
from kpkit.pipelines.augment_later import idle
from kpkit.pipelines.augment_output import Output
from kpkit.pipelines.augment_prepare import Work
from kpkit.pipelines.augment_preview import Preview
from kpkit.pipelines.augment_rows import import_ahead
from kpkit.pipelines.augment_task import Augmenter, Done, ImageTask, Plan
from kpkit.pipelines.augment_work import Folder


@dataclass
class Loop:
    """What the blocks have in common, and what they are added to."""

    work: Work
    folder: Folder
    plan: Plan
    report: AugmentReport
    tell: Progress
    account: Account
    output: Output
    preview: Preview
    order: Order = field(default_factory=Order)
    kept: Names = field(default_factory=Names)

    def run(self) -> None:
        """Go through all blocks; images that fail are put down in the report. Raises OutputError."""
        work, folder = self.work, self.folder
        self.tell("augmenting", 0, len(work.labels.keys))
        shared, seen = [folder.path], [work.root]
        with pool_for(work.job.workers, work.job.scheduler, _quiet_opencv, shared=shared, seen=seen) as pool:
            self.report.workers = pool.workers
            blocks = work.labels.blocks(self.tell)
            try:
                # Nothing here holds a block while the next one is made.
                while self._next(blocks, pool):
                    pass
            finally:
                # Whoever takes the folder away now does not meet a write of this process.
                idle()
        folder.end_making()
        remove_strays(folder.path, self.kept)

    def _next(self, blocks: Iterator[Block], pool: Pool) -> bool:
        block = next(blocks, None)
        if block is None:
            return False
        done = self._augmented(block, pool)
        made = [
            Made(output, image.rows[0], [image.persons[i] for i in output.persons])
            for image, result in done
            for output in result.outputs
        ]
        augmented = self._assembled(block, made)
        self.account.add(block, done, augmented)
        self.preview.add(block, done, self.folder.path)
        for one in made:
            self.kept.add(f"images/{one.output.image}")
            self.kept.add(one.output.mask)
        del block, done
        self.output.add(augmented, made)
        return True

    def _augmented(self, block: Block, pool: Pool) -> Results:
        """What came of every image of a block that worked, in the images' order."""
        found: dict[str, Done] = {}
        earlier: dict[str, Done] = {}
        keys = self.work.labels.keys
        items = tasks(block, keys.names, keys.stem, self.work.root, self.plan)
        done = run_tasks(Augmenter(self.plan), self._with_earlier(items, earlier), pool)
        for number, (key, result) in enumerate(done, start=block.first + 1):
            if number == 1 and pool.workers > 1 and not self.work.job.dry_run:
                import_ahead()
            before = earlier.pop(key, None)
            if isinstance(result, Failure):
                self._failed(result)
            elif isinstance(result, Kept):
                assert before is not None
                found[key] = before
                self.report.kept += 1
            else:
                self.folder.note(key, result)
                found[key] = result
            if key in found:
                # They are in the log; what stays until the block is done has no use for them.
                found[key].sources, found[key].files = [], {}
            self.tell("augmenting", number, len(keys))
        return [(image, found[image.key]) for image in block.images if image.key in found]

    def _with_earlier(
        self, items: Iterator[tuple[str, ImageTask]], earlier: dict[str, Done]
    ) -> Iterator[tuple[str, tuple[ImageTask, tuple[list[str], dict[str, str]] | None]]]:
        """With the checksums of what an earlier run made, which is put into `earlier`."""
        for key, task in items:
            done = self.folder.earlier(key)
            if done is not None:
                earlier[key] = done
            yield key, (task, (done.sources, done.files) if done is not None else None)

    def _failed(self, failure: Failure) -> None:
        if failure.code == "KP-OUTPUT-WRITE":
            # A full disk is not this image's fault, and the next one would meet it, too.
            raise OutputError(failure.message, code=failure.code, place=str(self.work.output))
        self.report.failures.append(failure)

    def _assembled(self, block: Block, made: list[Made]) -> Dataset:
        """The augmented labels; boxes that were made are kept where the target's users need them, and so are areas if
        the format changes."""
        work = self.work
        augmented = assemble(block.dataset, made, block.fields, self.order, drop_empty=work.job.drop_empty)
        if not work.target.makes_boxes:
            return own_boxes(augmented, made, block.own_boxes)
        return augmented if work.target.name == work.source.name else with_areas(augmented)


def _quiet_opencv() -> None:
    import cv2

    # One thread a worker: the pool has as many workers as were asked for.
    cv2.setNumThreads(1)


__all__ = ["Loop"]

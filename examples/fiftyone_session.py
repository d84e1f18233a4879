"""Labels shown in FiftyOne, one joint moved and one person tagged there, and both brought back.

    pip install 'kpkit[qa]'
    python examples/fiftyone_session.py

`kpkit view` and `kpkit view --pull` do the same on the command line, with FiftyOne's App in between.
"""

from __future__ import annotations

from pathlib import Path

from kpkit.pipelines import demo, pull, view
from kpkit.pipelines.load import LabelSource

FOLDER, NAME = Path("fiftyone-session"), "kpkit-session"

demo.run(demo.DemoJob(folder=FOLDER, scenes=6, force=True))
shown = view.run(view.ViewJob(source=LabelSource(input=FOLDER / "coco"), name=NAME, force=True))
print(f"FiftyOne has {shown.samples} pictures of {shown.counts['instances']} persons")
print("saved views: " + ", ".join(shown.views))

# From here on it is FiftyOne alone; kpkit has connected it to its database.
import fiftyone  # noqa: E402

dataset = fiftyone.load_dataset(NAME)
occluded = dataset.load_saved_view("occluded joints")
print(f"{occluded.count('keypoints.keypoints')} persons have an occluded joint")

sample = dataset.first()
person = sample.keypoints.keypoints[0]
names = dataset.default_skeleton.labels
wrist = names.index("left_wrist")
width, height = sample.metadata.width, sample.metadata.height
person.points[wrist] = (300.5 / width, 200.25 / height)
person.visibility[wrist] = "occluded"
person.tags.append("kpkit:ok")
sample.save()

brought = pull.run(pull.PullJob(name=NAME, output=FOLDER / "mended.json", force=True))
for change in brought.difference.changes():
    print(f"{change.image}: person {change.person}: {change.joint} {change.kind}: {change.before} -> {change.after}")
for tag in brought.tags:
    print(f"{tag.image}: person {tag.person}: tags {tag.before} -> {tag.after}")

dataset.delete()

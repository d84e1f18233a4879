"""Rules about records: what the reader of a file has seen while it made columns of them."""

from __future__ import annotations

from kpkit.qa.rules import Rule

RULES = [
    Rule(
        id="KP101",
        name="wrong-num-keypoints",
        severity="warning",
        reason="`num_keypoints` is not the number of labelled joints",
        explanation="COCO's evaluation leaves persons with `num_keypoints` 0 out, and samplers skip them: a wrong "
        "count trains and scores on the wrong persons. The joints themselves are believed.",
        help="count them anew with --fix",
        fixable=True,
        codes=("KP-COCO-NUM-KEYPOINTS",),
    ),
    Rule(
        id="KP102",
        name="wrong-length",
        severity="error",
        reason="a person's keypoints are not three numbers for each joint of the skeleton",
        explanation="Which number belongs to which joint cannot be told any more: joints may have been left out, so "
        "that all after them have moved up, or the labels are of another skeleton than the category's.",
        help="export the labels again with every joint, or give the category the joints that they have",
        codes=("KP-COCO-LENGTH", "KP-YOLO-LENGTH", "KP-LAYOUT-LENGTH"),
    ),
    Rule(
        id="KP103",
        name="wrong-visibility",
        severity="error",
        reason="a visibility flag is none of 0, 1 and 2",
        explanation="0 is not labelled, 1 labelled and occluded, 2 labelled and visible. Anything else is read "
        "differently by every program: as visible, as a score, or not at all.",
        help="correct the flag; scores do not belong into ground truth",
        codes=("KP-COCO-VISIBILITY", "KP-YOLO-VISIBILITY", "KP-SIX2-FLAG", "KP-LAYOUT-FLAG"),
    ),
    Rule(
        id="KP104",
        name="labelled-at-origin",
        severity="warning",
        reason="a joint is labelled at exactly (0, 0)",
        explanation="(0, 0) is what exporters write for a joint that nobody labelled. With a flag above 0 it teaches "
        "a model that the joint is in the corner.",
        help="set the joint's flag to 0, or label it",
        codes=("KP-COCO-ORIGIN",),
    ),
    Rule(
        id="KP105",
        name="unlabelled-with-coordinates",
        severity="warning",
        reason="a joint is marked as not labelled (v = 0) and has coordinates all the same",
        explanation="Some tools (CVAT among them) keep the coordinates of a joint that was switched off or moved out "
        "of the frame. Programs that look at coordinates instead of flags take it for a label. kpkit "
        "reads it as not labelled and keeps the numbers for the same format.",
        help="set the coordinates to 0, or the flag to 1 or 2 where the joint is meant",
        codes=("KP-COCO-GHOST", "KP-YOLO-GHOST", "KP-MPII-UNLABELLED-XY", "KP-LAYOUT-UNLABELLED"),
    ),
    Rule(
        id="KP106",
        name="id-of-two-persons",
        severity="error",
        reason="one annotation id stands for two different persons",
        explanation="Programs that look persons up by id (pycocotools among them) keep only one of the two.",
        help="give one of them another id",
        codes=("KP-COCO-ID", "KP-SIX2-PERSON-TWICE"),
    ),
    Rule(
        id="KP107",
        name="record-twice",
        severity="warning",
        reason="a person's record stands in the file twice",
        explanation="Id and content are the same. Trainers see the person twice as often as others, evaluations count "
        "it twice. kpkit reads it once.",
        help="remove the second one with --fix",
        fixable=True,
        codes=("KP-COCO-ID-TWICE", "KP-MPII-TWICE"),
    ),
    Rule(
        id="KP108",
        name="image-listed-twice",
        severity="warning",
        reason="an image is listed more than once",
        explanation="The records are the same. Loaders that walk the list of images see all persons of it once a "
        "record. kpkit reads it once.",
        help="remove the records that repeat others with --fix",
        fixable=True,
        codes=("KP-COCO-IMAGE-TWICE",),
    ),
    Rule(
        id="KP109",
        name="id-of-two-images",
        severity="error",
        reason="one image id stands for two different images",
        explanation="Half of the persons lie on the wrong picture, and nothing in the file tells which half.",
        help="give one of them another id, and correct its persons' `image_id`",
        codes=("KP-COCO-IMAGE-ID", "KP-SIX2-SIZE-CONFLICT"),
    ),
    Rule(
        id="KP110",
        name="unknown-image",
        severity="error",
        reason="a person points to an image that is not listed",
        explanation="The person is lost for every program that starts from the images.",
        help="list the image, or remove the record",
        codes=("KP-COCO-IMAGE",),
    ),
    Rule(
        id="KP111",
        name="unknown-category",
        severity="error",
        reason="a person points to a category that is not listed",
        explanation="Nothing says what this person is, or which joints it has: joints are listed with the category.",
        help="list the category, or correct the `category_id`",
        codes=("KP-COCO-CATEGORY",),
    ),
    Rule(
        id="KP112",
        name="not-a-number",
        severity="error",
        reason="a value is NaN or infinite",
        explanation="JSON has no such numbers: strict readers refuse the whole file. Python's writes them and reads "
        "them back, and they turn the loss of a whole batch into NaN.",
        help="mark the joint as not labelled (0, 0, 0), or write null for a value that is not known",
        codes=("KP-JSON-NAN", "KP-JSON-NUMBER"),
    ),
    Rule(
        id="KP113",
        name="unreadable-record",
        severity="error",
        reason="a record lacks a field, or a field has the wrong type",
        explanation="The record is left out by `kpkit validate`; every other command refuses the file.",
        help="mend the record at the place that is named",
        codes=(
            "KP-COCO-TYPE",
            "KP-COCO-MISSING",
            "KP-COCO-BBOX",
            "KP-COCO-KPKIT",
            "KP-RECORD",
            "KP-YOLO-NUMBER",
            "KP-YOLO-CLASS",
            "KP-YOLO-BOX",
            "KP-SIX2-FIELD",
            "KP-SIX2-TYPE",
            "KP-SIX2-HALF",
            "KP-SIX2-VISIBLE",
            "KP-CSV-NUMBER",
            "KP-CSV-CELLS",
            "KP-MPII-POINT",
            "KP-MPII-PERSON",
            "KP-MPII-FIELD",
            "KP-MPII-JSON-RECORD",
        ),
    ),
    Rule(
        id="KP114",
        name="path-outside",
        severity="error",
        reason="the name of an image leads out of the dataset's folder",
        explanation="A program that trusts it reads, or writes, where it should not.",
        help="write names relative to the image folder",
        codes=("KP-PATH-OUTSIDE",),
    ),
    Rule(
        id="KP199",
        name="reader",
        severity="warning",
        reason="the reader of the format had to decide or to forgive something",
        explanation="Remarks of a format's own reader that no other rule stands for; the message begins with its "
        "code. Their severity is the reader's.",
    ),
]

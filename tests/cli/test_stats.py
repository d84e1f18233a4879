"""`kpkit stats`: the same numbers on the screen, in JSON, in CSV and on the page, and a page that asks for nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests import browser
from tests.augment_data import dataset, read_labels, write_labels
from tests.wholebody import write_wholebody

DESKTOP, PHONE = (1200, 900), (390, 844)


@pytest.fixture
def labels(empty_folder: Path) -> Path:
    """Three images with two persons each; a third of the joints occluded, a fifth unlabelled."""
    path = dataset(empty_folder, images=3, persons=2)
    content = read_labels(empty_folder)
    rng = np.random.default_rng(3)
    for row in content["annotations"]:
        flags = rng.choice((0, 1, 2), 17, p=(0.2, 0.3, 0.5)).tolist()
        for joint, flag in enumerate(flags):
            row["keypoints"][3 * joint + 2] = flag
            if flag == 0:
                row["keypoints"][3 * joint : 3 * joint + 2] = 0, 0
        row["num_keypoints"] = sum(flag > 0 for flag in flags)
    write_labels(empty_folder, content)
    return path


def counted(path: Path) -> pd.DataFrame:
    """Joints by flag, counted by pandas from the file alone: a row a joint, a column a flag."""
    content = json.loads(path.read_text())
    flags = pd.DataFrame([row["keypoints"][2::3] for row in content["annotations"]])
    return pd.DataFrame({flag: (flags == flag).sum() for flag in (0, 1, 2)})


def table_of(page: Any, heading: str) -> list[list[str]]:
    """The rows of the table below a heading, as the browser shows them."""
    found = page.locator(f"xpath=//*[normalize-space(text())='{heading}']/following::table[1]")
    return [row.locator("th, td").all_inner_texts() for row in found.first.locator("tbody tr").all()]


def test_json_csv_page_and_pandas_count_the_same(kpkit, labels):
    ran = kpkit("stats", labels, "--json", "--csv", "joints.csv", "--html", "page.html")
    assert ran.code == 0, ran.err
    document, table, expected = ran.json, pd.read_csv("joints.csv"), counted(labels)
    assert expected[1].sum() > 10
    for flag, name in ((0, "unlabelled"), (1, "occluded"), (2, "visible")):
        numbers = expected[flag].tolist()
        assert [joint[name] for joint in document["joints"]] == numbers
        assert table[name].tolist() == numbers
        assert document["counts"][name] == sum(numbers)
    assert document["counts"]["persons"] == 6
    with browser.open_page(Path("page.html")) as page:
        shown = table_of(page, "By joint")
        tiles = page.inner_text("body")
    assert [row[0] for row in shown] == [joint["joint"] for joint in document["joints"]]
    assert [[int(cell) for cell in row[2:5]] for row in shown] == expected[[2, 1, 0]].to_numpy().tolist()
    assert re.search(r"\b6\s+persons", tiles)
    assert f"occluded {expected[1].sum()}" in tiles


def test_every_number_of_the_csv_stands_in_the_json(kpkit, labels):
    document = kpkit("stats", labels, "--json", "--csv", "joints.csv").json
    table = pd.read_csv("joints.csv")
    for row, joint in zip(table.to_dict("records"), document["joints"], strict=True):
        for name, value in joint.items():
            assert row[name] == value or (value is None and np.isnan(row[name])), name


def test_what_changed_is_said_joint_by_joint_and_adds_up(kpkit, labels, empty_folder):
    content = json.loads(labels.read_text())
    hidden = 0
    for row in content["annotations"]:
        hidden += row["keypoints"][3 * 5 + 2] == 2
        row["keypoints"][3 * 5 + 2] = min(row["keypoints"][3 * 5 + 2], 1)
    after = empty_folder / "after.json"
    after.write_text(json.dumps(content))
    ran = kpkit("stats", labels, "--compare", after, "--json", "--html", "both.html", "--csv", "both.csv")
    assert ran.code == 0, ran.err
    assert hidden > 0
    before, later = ran.json["counts"], ran.json["other"]["counts"]
    assert (later["visible"] - before["visible"], later["occluded"] - before["occluded"]) == (-hidden, hidden)
    assert len(pd.read_csv("both.csv")) == 34
    assert "left_shoulder" in kpkit("stats", labels, "--compare", after).out
    assert "after.json" in Path("both.html").read_text()


@pytest.mark.parametrize("target", ["yolo-pose", "native", "six2"])
def test_other_formats_are_measured(kpkit, labels, target):
    assert kpkit("convert", "coco", target, labels, "-o", "made", "--images", "images").code == 0
    counts = kpkit("stats", "made", "--json").json["counts"]
    assert counts["persons"] == 6
    assert counts["labelled"] > 0


def test_quiet_prints_nothing_where_a_file_has_the_numbers(kpkit, labels):
    assert kpkit("stats", labels, "--quiet", "--csv", "joints.csv").out == ""
    assert "left_shoulder" in kpkit("stats", labels, "--quiet").out


def test_a_path_that_is_wrong_is_named_and_nothing_is_written(kpkit):
    ran = kpkit("stats", "nowhere.json", "--html", "page.html")
    assert ran.code == 2
    assert "nowhere.json" in ran.err
    assert not Path("page.html").exists()


def test_files_that_exist_are_kept_without_force(kpkit, labels):
    Path("page.html").write_text("mine")
    ran = kpkit("stats", labels, "--html", "page.html")
    assert ran.code == 2
    assert "KP-OUTPUT-EXISTS" in ran.err
    assert Path("page.html").read_text() == "mine"
    assert kpkit("stats", labels, "--html", "page.html", "--force").code == 0


def people_of(count: int, folder: Path) -> Path:
    path = dataset(folder, images=1, persons=1)
    content = read_labels(folder)
    content["annotations"] = content["annotations"][:count]
    write_labels(folder, content)
    return path


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("what", ["0 persons", "1 person", "133 joints", "a pair"])
def test_the_page_asks_for_nothing_complains_of_nothing_and_fits_its_window(kpkit, empty_folder, request, what, size):
    more: list[str] = []
    if what == "133 joints":
        path = empty_folder / "wholebody.json"
        write_wholebody(request.getfixturevalue("real_data"), path)
    else:
        path = people_of(0 if what == "0 persons" else 1, empty_folder)
    if what == "a pair":
        more = ["--compare", str(path)]
    ran = kpkit("stats", path, *more, "--html", "page.html")
    assert ran.code == 0, ran.err
    with browser.open_page(Path("page.html"), width=size[0], height=size[1]) as page:
        assert page.kpkit_errors == []
        assert [url for url in page.kpkit_requests if not url.startswith(("file:", "data:", "blob:"))] == []
        wide = page.evaluate("document.documentElement.scrollWidth")
        text = page.inner_text("body")
        picture = browser.screenshot(page)
    assert wide <= size[0]
    assert picture.std() > 5
    assert "NaN" not in text
    assert "undefined" not in text
    if what == "0 persons":
        assert re.search(r"\b0\s+persons", text)
    if what == "133 joints":
        assert "right_hand_20" in text

"""`facefit eval compare`: two folders of fits side by side."""

import json

import numpy as np
import pytest
from helpers.eval_command import numbers, run
from PIL import Image


@pytest.fixture(scope="module")
def better(folder, tmp_path_factory, toy):
    """The same fits, with smaller errors; one more photo."""
    root = tmp_path_factory.mktemp("better")
    for path in (folder / "fits").rglob("*.json"):
        document = json.loads(path.read_text())
        document["landmark_error"] -= 0.005 if path.stem == "7" else 0.015
        document["part_iou"]["nose"] = 0.9
        place = root / path.relative_to(folder / "fits")
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(document))
    (root / "s1" / "front" / "extra.json").write_text(json.dumps(document))
    return root


def test_two_sets_side_by_side(folder, better):
    result = numbers("compare", folder / "fits", better)
    error = result["summary"]["landmark_error"]
    assert error["first"] == pytest.approx(0.025) and error["second"] == pytest.approx(0.015)
    assert error["difference"] == pytest.approx(-0.01) and error["standard_error"] == pytest.approx(0.005)
    assert (error["better"], error["worse"], error["n"]) == (2, 0, 2)
    iou = result["summary"]["part_iou"]
    assert iou["difference"] == pytest.approx(0.1) and iou["better"] == 2
    assert result["only_first"] == [] and result["only_second"] == ["s1/front/extra"]
    table = run("compare", folder / "fits", better)
    assert "landmark_error" in table and "only in B: 1 (s1/front/extra)" in table


def test_a_sheet_of_both(folder, better, toy, tmp_path):
    run("compare", folder / "fits", better, "--sheet", tmp_path / "sheet.png", "--rows", "1", "--model", toy)
    picture = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert picture.shape == (256, 5 * 256, 3) and picture.std() > 10
    run("compare", folder / "fits", better, "--sheet", tmp_path / "sheet.png", "--model", toy)
    assert np.asarray(Image.open(tmp_path / "sheet.png")).shape == (512, 5 * 256, 3)


def test_errors_of_compare(folder, better, tmp_path):
    assert "ends in .png" in run("compare", folder / "fits", better, "--sheet", "a.jpg", code=2)
    assert "no fit has the same name" in run("compare", folder / "fits/s1/front", folder / "fits/s1/side", code=4)
    assert "does not exist" in run("compare", folder / "fits", better, "--json", tmp_path / "no" / "x.json", code=6)

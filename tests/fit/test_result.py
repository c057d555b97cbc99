"""A result as a value: edited, drawn, saved, shown in a line."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.synthetic_result import synthetic_result

from facefit.fit.doors import ABOVE, load_above
from facefit.fit.result import FitResult
from facefit.output.texture import unwrapped
from facefit.scene.parameters import Parameters


@pytest.fixture(scope="module")
def result(toy_model) -> FitResult:
    return synthetic_result(toy_model, yaw=0.3)


def test_an_edited_face_keeps_the_texture_of_its_photo(result):
    """Sampled through the edited mesh the photo would shift on it by the expression."""
    edited = result.with_expression(unit0=1.0, unit2=0.0)
    assert edited.parameters.expression[0].tolist() == pytest.approx(
        [1, result.parameters.expression[0, 1].item(), 0], abs=1e-6
    )
    assert unwrapped(edited, 64) is unwrapped(result, 64)  # taken once
    assert np.abs(edited.verts - result.verts).max() > 1
    assert edited.sighting.scene is result.scene and edited.scene is not result.scene
    through = unwrapped(replace(edited, sighting=None), 64)
    assert np.abs(through.photo - unwrapped(result, 64).photo).max() > 0.05
    again = edited.with_expression({"unit0": 0.0}, keep=False)
    assert again.sighting is result.sighting and not again.parameters.expression.any()


def test_an_edited_face_is_not_measured(result):
    edited = result.with_expression(unit0=0.5)
    assert edited.status == "edited" and edited.summary.landmark_error is None and edited.summary.part_iou is None
    assert result.summary.landmark_error == 0.017


def test_another_photo_is_another_sighting(result, toy_model):
    edited = result.with_expression(unit0=1.0)
    dark = replace(edited, photo=result.photo // 2)
    assert dark.sighting.photo is dark.photo and dark.sighting.scene.parameters is result.parameters
    other = replace(edited, model=replace(toy_model), parameters=Parameters.zeros(toy_model.sizes))
    assert other.sighting.scene.parameters is other.parameters


def test_a_line_and_not_a_page(result):
    assert repr(replace(result, photo_path="ann.jpg")) == (
        "FitResult(ann.jpg, converged, landmark error 1.7 %, part IoU 0.80, toy 1)"
    )
    for value in (result, result.model, result.parameters, result.observation, result.sighting):
        assert len(repr(value)) < 300 and "\n" not in repr(value)


def test_what_stands_above_is_there():
    assert all(callable(load_above(name)) for name in ABOVE)


def test_render_shows_the_head_from_a_side(result):
    front, left = result.render(size=64), result.render("left", 64)
    assert front.shape == (64, 64, 3) and front.dtype == np.uint8
    assert np.abs(front.astype(int) - left).max() > 50
    assert np.array_equal(result.render(-90.0, 64), left)
    smile = result.with_expression(unit0=1.0, unit1=1.0).render(size=64)
    assert not np.array_equal(smile, front)
    with pytest.raises(ValueError, match="'above'; accepted: front, three quarters, left, right, or degrees"):
        result.render("above")
    with pytest.raises(ValueError, match="size is 5000 pixels; accepted: 16 to 4096"):
        result.render(size=5000)


def test_save_writes_what_write_result_does(result, tmp_path):
    paths = result.save(str(tmp_path / "face.glb"), texture_size=16)
    assert [path.name for path in paths] == ["face.glb", "face.json"]
    assert torch.equal(result.parameters.expression, result.parameters.expression)
    with pytest.raises(ValueError, match="units is 'cm'; accepted: mm, m"):
        result.save(tmp_path / "face.obj", units="cm")

"""Expressions by name, on the default model: lids, lips and brows go where the word says."""

import numpy as np
import pytest

from facefit.anatomy.landmarks import INNER_LIP_PAIRS, LEFT_MOUTH_CORNER, RIGHT_MOUTH_CORNER
from facefit.synth.expressions import NAMED, check_expressions, drawn_expression
from facefit.synth.sample import shaped

LIDS = ((159, 145), (386, 374))  # upper and lower, the person's right and left


@pytest.fixture(scope="module")
def measured(default_model):
    """Expression -> rows of: opening of right and left eye, of the mouth, height of its corners; mm."""

    def measure(wanted, seed):
        rng = np.random.default_rng(seed)
        drawn = drawn_expression(wanted, default_model.expression_names, True, np.zeros(2), rng)
        assert drawn.dtype == np.float32 and 0 <= drawn.min() and drawn.max() <= 1
        identity = rng.normal(0, 1, default_model.sizes["identity"]).astype(np.float32)
        verts = shaped(default_model, identity, drawn, np.zeros((2, 2), np.float32))
        points = np.einsum(
            "lc,lcd->ld", default_model.landmark_bary.numpy(),
            verts[default_model.faces.numpy()[default_model.landmark_faces.numpy()]],
        )  # fmt: skip
        eyes = [points[upper, 1] - points[lower, 1] for upper, lower in LIDS]
        mouth = np.mean([points[a, 1] - points[b, 1] for a, b in INNER_LIP_PAIRS])
        corners = points[[RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER], 1].mean() - points[[13, 14], 1].mean()
        return [*eyes, mouth, corners]

    return {wanted: np.array([measure(wanted, seed) for seed in range(4)]) for wanted in NAMED if wanted != "any"}


def test_lids_close_both_or_one(measured):
    rest = measured["neutral"][:, :2]
    assert rest.min() > 6
    assert measured["closed-eyes"][:, :2].max() < 3
    winks = np.sort(measured["wink"][:, :2], 1)
    assert winks[:, 0].max() < 3 and (winks[:, 1] - winks[:, 0]).min() > 2


def test_mouths_open_smile_and_frown(measured):
    assert (measured["open-mouth"][:, 2] > measured["neutral"][:, 2] + 5).all()
    assert (measured["smile"][:, 3] > measured["frown"][:, 3] + 3).all()


def test_what_a_model_cannot_do_is_refused(default_model, toy_model):
    names = default_model.expression_names
    check_expressions((*NAMED, "jawOpen"), names, "it")
    with pytest.raises(ValueError, match="'grin'; accepted: any, neutral, closed-eyes"):
        check_expressions(("grin",), names, "it")
    with pytest.raises(ValueError, match="'wink': it has no face units"):
        check_expressions(("any", "wink"), toy_model.expression_names, "it")


def test_models_without_face_units_move_too():
    rng = np.random.default_rng(0)
    drawn = [drawn_expression("any", tuple("abcdef"), activation, np.zeros(2), rng) for activation in (True, False)]
    assert 0 <= drawn[0].min() and drawn[0].max() <= 1 and drawn[0].any()
    assert drawn[1].min() < 0 < drawn[1].max()
    only = drawn_expression("c", tuple("abcdef"), True, np.zeros(2), rng)
    assert only.nonzero()[0].tolist() == [2] and only[2] >= 0.5

"""One person's motion on another: closed stays closed, rest stays rest, and what is not known is left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.rendered_face import with_expressions

from facefit.anatomy.landmarks import INNER_LIP_PAIRS, LID_PAIRS
from facefit.rig.clip import Clip, clip_of_fits
from facefit.rig.openings import Openings
from facefit.rig.retarget import retarget, rig_of
from facefit.scene.parameters import Parameters

REST = {"browDownLeft": 0.1, "eyeSquintLeft": 0.12, "eyeSquintRight": 0.12, "mouthFrownLeft": 0.08}
BLINK = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
SHUT_EYES = (BLINK, BLINK | {"browInnerUp": 1.0}, BLINK | {"jawOpen": 0.5, "cheekSquintLeft": 0.5})
SHUT_LIPS = ({"jawOpen": 0.6, "mouthClose": 0.6}, {"mouthSmileLeft": 0.4, "mouthPressLeft": 0.7}, {"mouthPucker": 0.5})
FRAMES = ({}, {}, {}, *SHUT_EYES, *SHUT_LIPS, {"jawOpen": 0.6}, {"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5})


def random_people(model, count, seed):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, model.sizes["identity"], generator=draw)


@pytest.fixture(scope="module")
def model(default_model):
    """With what FRAMES and REST show, and what they could be mixed up with."""
    mouth = ("mouthClose", "mouthFrown", "mouthPress", "mouthPucker", "mouthSmile")
    return with_expressions(default_model, "eye", "brow", "jawOpen", "cheekSquint", *mouth)


@pytest.fixture(scope="module")
def clip(model):
    """A person who looks a little sullen at rest."""
    names = list(model.expression_names)
    weights = np.zeros((len(FRAMES), len(names)))
    for row, frame in zip(weights, FRAMES, strict=True):
        for name, value in frame.items():
            row[names.index(name)] = value
        for name, value in REST.items():
            k = names.index(name)
            row[k] = 1 - (1 - row[k]) * (1 - value)
    zeros = Parameters.zeros(model.sizes, len(FRAMES))
    identity = random_people(model, 1, 3).expand(len(FRAMES), -1)
    value = replace(zeros, identity=identity, expression=torch.from_numpy(weights).float())
    return clip_of_fits(model, value, np.arange(len(FRAMES)) / 30)


@pytest.fixture(scope="module")
def moved(model, clip):
    """Another one, with the eyes of nobody: beyond the model's components."""
    neutral = model.shape(random_people(model, 1, 8), torch.zeros(1, model.sizes["expression"]))[0].double().numpy()
    rig = rig_of(model, neutral)
    return rig, retarget(clip, rig)


def test_a_rig_has_what_the_persons_skin_folds(toy_model):
    model = replace(toy_model, expression_names=("jawOpen", "eyeBlinkLeft", "browInnerUp"))
    neutral, folds = model.verts.double().numpy(), np.zeros(model.expression_basis.shape)
    folds[2, 40] = (0.1, 0.2, 0.3)
    np.testing.assert_allclose(rig_of(model, neutral, folds).targets - rig_of(model, neutral).targets, folds)


def gaps(model, verts, pairs):
    points = model.landmarks(torch.from_numpy(verts).float()).numpy()
    return points[:, [a for a, _ in pairs]] - points[:, [b for _, b in pairs]]


def test_rest_is_found_and_stays_rest(clip, moved):
    expected = [REST.get(name, 0.0) for name in clip.names]
    assert np.allclose(clip.rest(), expected, atol=1e-6)
    assert np.abs(moved[1].weights[:3]).max() < 1e-6


def test_closed_stays_closed_and_open_opens(model, moved):
    rig, clip = moved
    verts = rig.neutral + np.tensordot(clip.weights, rig.targets, 1)
    lids = gaps(model, verts, LID_PAIRS)[:, :, 1]
    lips = gaps(model, verts, INNER_LIP_PAIRS)[:, :, 1]
    eyes, mouths = slice(3, 3 + len(SHUT_EYES)), slice(3 + len(SHUT_EYES), 3 + len(SHUT_EYES) + len(SHUT_LIPS))
    assert lids[eyes].max() < 0.5 < 2 < lids[0].min()
    assert (lips[mouths] - lips[0]).max() < 0.5
    assert lips[-2].max() - lips[0].max() > 10
    half = lids[-1].mean() / lids[0].mean()
    assert 0.4 < half < 0.65


def test_eyes_that_close_with_less_close_others_with_what_they_need(clip, moved):
    """Of a source whose lids meet at a blink of .8 already, and who never shows more."""
    narrow = replace(clip.openings, slope=clip.openings.slope / 0.8)
    half = 0.8 * clip.weights[0]
    whole = half.copy()
    for side in ("Left", "Right"):
        whole[clip.names.index(f"eyeBlink{side}")] = 0.8
    weights = np.stack([half, half, whole])
    short = replace(clip, weights=weights, seconds=np.arange(3.0), gaze=clip.gaze[:3], openings=narrow)
    rig = moved[0]
    found = retarget(short, rig, rest=half)
    assert rig.openings.at(found.weights)[2, :14].max() < 0.5
    assert found.weights[2, clip.names.index("eyeBlinkLeft")] > 0.95


def test_a_gaze_turns_the_eyes_about_their_middle(model, moved):
    rig, names = moved[0], model.expression_names
    ball = np.flatnonzero(model.eyeball.numpy() == 2)
    start = rig.neutral[ball]
    there = start + rig.targets[names.index("eyeLookOutLeft"), ball]
    assert np.abs(there.mean(0) - start.mean(0)).max() < 1.0
    front = start[:, 2].argmax()
    assert there[front, 0] - start[front, 0] == pytest.approx(12.8 * np.sin(np.radians(30)), abs=0.8)
    centre = model.eyeball_weight[ball].numpy() @ start
    radius = np.linalg.norm(start - centre, axis=1)
    assert np.allclose(np.linalg.norm(there - centre, axis=1), radius, atol=1e-3)


def test_weights_of_nobody_known_are_those_of_the_mean_face(moved):
    rig = moved[0]
    names = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "noseWiggle")
    weights = np.array([[0.0, 0, 0, 0], [1, 1, 0, 1], [0, 0, 0.4, 0]])
    plain = Clip(names, np.arange(3.0), weights, np.tile(np.eye(3), (3, 1, 1)), np.zeros((3, 3)))
    found = retarget(plain, rig)
    assert np.abs(found.weights[0]).max() < 1e-6
    opened = rig.openings.at(found.weights)
    assert opened[1, :14].max() < 0.5 and (opened[2, 14:] - opened[0, 14:]).max() > 8
    assert "noseWiggle" not in found.names


def test_openings_are_met_by_few_changes():
    names = ("eyeBlinkLeft", "browInnerUp", "jawOpen", "mouthClose")
    slope = np.zeros((4, 23))
    slope[0, :14], slope[1, :14], slope[2, 14:], slope[3, 14:] = -10.0, 0.2, 30.0, -28.0
    face = Openings(np.r_[np.full(14, 10.0), np.zeros(9)], slope, names, 50.0)
    weights = np.array([[0.8, 0.5, 0.3, 0.3]])
    shut = face.opened(weights, np.zeros((1, 23)))
    assert shut[0, 1] == 0.5  # no matter of lids
    assert np.abs(face.at(shut)).max() < 0.2 and np.abs(shut - weights).max() < 0.35
    assert (shut >= 0).all() and (shut <= 1).all()
    assert np.array_equal(face.opened(weights, face.at(weights)), weights)


def test_a_model_whose_expressions_have_no_names(toy_model):
    with pytest.raises(ValueError, match="not ARKit's"):
        rig_of(toy_model, toy_model.verts.double().numpy())

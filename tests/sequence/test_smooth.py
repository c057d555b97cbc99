"""Stillness without lag: what trembles is averaged, what moves stays where it is in time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.toy_faces import toy_face
from helpers.toy_model import jointed_arrays

from facefit.fit.config import FitConfig
from facefit.geometry.rotation import rotation_matrix
from facefit.model.model_file import from_arrays
from facefit.scene.parameters import Parameters
from facefit.sequence.smooth import smoothed_parameters
from facefit.sequence.uncertainty import POSE, information, pose_and_expression

FRAMES = 60
NOISE = {"rotvec": 0.002, "translation": (0.1, 0.1, 1.5), "expression": 0.02, "gaze": 0.008}


@pytest.fixture(scope="module")
def model():
    return from_arrays(toy_face(17))


def film(model, seed=1, **moves):
    """A still face with the noise of fits; `moves` are what it does, (F, ...) or less."""
    rng, zeros = np.random.default_rng(seed), Parameters.zeros(model.sizes, FRAMES)
    tensors = zeros.tensors()
    for name, size in NOISE.items():
        value = tensors[name] + torch.from_numpy(rng.normal(0, 1, tensors[name].shape) * size).float()
        tensors[name] = value + torch.as_tensor(np.asarray(moves.get(name, 0.0))).float()
    tensors["expression"] = tensors["expression"] + 0.3
    return Parameters(**tensors)


def still(model, value):
    return smoothed_parameters(value, np.arange(FRAMES) / 30, model)


def test_a_face_that_keeps_still_trembles_half_as_much(model):
    before = film(model)
    after = still(model, before)
    for name in NOISE:
        spread = [getattr(value, name).flatten(1).std(0) for value in (before, after)]
        assert (spread[1] < 0.55 * spread[0]).all(), name  # from 60 frames, each of 0.5 is known to a tenth
    for name in ("identity", "albedo", "sh"):
        assert torch.equal(getattr(before, name), getattr(after, name))


def test_what_moves_is_neither_late_nor_less(model):
    """A blink of three frames, and a head that turns and comes nearer, each as it was."""
    blink, time = np.zeros((FRAMES, 3)), np.arange(FRAMES) / 30
    blink[30:33, 1] = 0.3, 0.6, 0.3
    turn = np.zeros((FRAMES, 3))
    turn[:, 1] = 0.3 * np.sin(2 * np.pi * time)
    shift = np.zeros((FRAMES, 3))
    shift[:, 2] = 80 * np.sin(2 * np.pi * 0.5 * time)
    before = film(model, expression=blink, rotvec=turn, translation=shift)
    after = still(model, before)
    found = (after.expression - 0.3)[:, 1].numpy()
    assert found[28:35] == pytest.approx(blink[28:35, 1], abs=0.07) and found[31] > 0.54
    for name, truth in (("rotvec", turn[:, 1]), ("translation", shift[:, 2])):
        axis = 1 if name == "rotvec" else 2
        value = getattr(after, name)[:, axis].numpy() - (0.0 if name == "rotvec" else -1000.0)
        lags = [np.abs(value[5:-5] - np.roll(truth, k)[5:-5]).mean() for k in (-1, 0, 1)]
        assert np.argmin(lags) == 1, name


def test_frames_far_apart_in_time_are_not_mixed(model):
    before = film(model)
    after = smoothed_parameters(before, np.arange(FRAMES) * 1.0, model)
    for name in NOISE:
        assert torch.allclose(getattr(before, name), getattr(after, name), atol=1e-4), name


def test_one_frame_and_two(model):
    for count in (1, 2):
        value = film(model)[slice(0, count)]
        found = smoothed_parameters(value, np.arange(count) / 30, model)
        assert torch.allclose(found.translation, value.translation, atol=1e-4)


def test_the_depth_is_what_landmarks_know_least(model):
    value = film(model)[slice(0, 2)]
    pose, expression = pose_and_expression(model, value)
    deviation = pose.diagonal(dim1=1, dim2=2).sqrt()
    assert (deviation[:, 5] > 5 * deviation[:, 3]).all() and (expression.sqrt() < 0.35).all()


def test_a_long_film_and_joints(model):
    """More frames than are looked at together; a model with a neck and a jaw."""
    value = film(model)
    long = Parameters.cat([value, value[slice(0, 20)]])
    apart = [pose_and_expression(model, long[k]) for k in (0, 70)]
    for whole, first, last in zip(pose_and_expression(model, long), *apart, strict=True):
        assert torch.allclose(whole[[0, 70]], torch.cat([first, last]))
    jointed = from_arrays(jointed_arrays())
    rng, zeros = np.random.default_rng(4), Parameters.zeros(jointed.sizes, FRAMES)
    before = replace(zeros, joints=zeros.joints + torch.from_numpy(rng.normal(0, 0.02, zeros.joints.shape)).float())
    assert (still(jointed, before).joints.flatten(1).std(0) < 0.55 * before.joints.flatten(1).std(0)).all()


def test_the_covariance_is_that_of_differences(model):
    """Against the Jacobian by finite differences, of the picture at the face's own depth."""
    own = replace(model, landmark_covariance=torch.zeros_like(model.landmark_covariance))
    value = film(own)[slice(3, 4)]

    def seen(step):
        turn = rotation_matrix(step[None, :3]) @ rotation_matrix(value.rotvec.double())
        shape = own.landmarks(own.shape(value.identity, value.expression + step[None, POSE:].float())).double()
        points = shape @ turn.transpose(1, 2) + (value.translation.double() + step[None, 3:POSE])[:, None]
        flat = points[0, :, :2] / -points[0, :, 2:]
        return (flat * torch.tensor([1.0, -1.0])).flatten(), -points[0, :, 2].mean()

    size = POSE + own.sizes["expression"]
    zero = torch.zeros(size, dtype=torch.float64)
    depth = seen(zero)[1]
    columns = []
    for k in range(size):
        step = zero.clone()
        step[k] = 1e-3
        columns.append(depth * (seen(step)[0] - seen(-step)[0]) / 2e-3)
    jacobian = torch.stack(columns, 1)
    normal = 400.0 / 478 * jacobian.T @ jacobian
    normal.diagonal()[POSE:] += 3.0 / 0.35**2
    found = information(own, value, FitConfig())[0]
    pose, expression = pose_and_expression(own, value)
    whole = torch.linalg.inv(found)
    assert torch.allclose(pose[0], whole[:POSE, :POSE]) and torch.allclose(expression[0], whole.diagonal()[POSE:])
    assert torch.allclose(found, normal, rtol=2e-2, atol=2e-2 * float(normal.diagonal().min()))

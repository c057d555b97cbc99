"""Joints: skinning against a slow obvious twin, the carrier's frame, gaze, the landmark stage, the file format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.toy_model import NAMES, jointed_arrays

from facefit.errors import ModelError
from facefit.fit.config import FitConfig
from facefit.fit.landmark_stage import solve_landmarks
from facefit.geometry.camera import Camera, project
from facefit.geometry.rotation import rotation_matrix
from facefit.model.model_file import from_arrays
from facefit.model.skeleton import gaze_rotation
from facefit.scene.joint_basis import joint_basis
from facefit.scene.parameters import Parameters


@pytest.fixture(scope="module")
def model():
    return from_arrays(jointed_arrays())


def values(model, seed=1):
    generator = torch.Generator().manual_seed(seed)
    identity = torch.randn(2, 4, generator=generator)
    expression = 0.3 * torch.rand(2, 3, generator=generator)
    joints = torch.zeros(2, 5, 3)
    joints[:, 1:3] = 0.3 * torch.randn(2, 2, 3, generator=generator)
    gaze = 0.2 * torch.randn(2, 2, 2, generator=generator)
    return identity, expression, gaze, joints


def slow_shape(model, identity, expression, gaze, joints):
    """One face, vertex by vertex, 4 x 4 matrices, in the frame of the root; then into that of the neck."""
    s = model.skeleton
    verts = model.verts + torch.tensordot(identity, model.identity_basis, 1)
    verts = (verts + torch.tensordot(expression, model.expression_basis, 1)).double().numpy()
    turns = [np.eye(3)] * 5
    for k in (1, 2):
        turns[k] = rotation_matrix(joints[k][None])[0].double().numpy()
    for k, eye in ((3, 0), (4, 1)):
        turns[k] = gaze_rotation(gaze[eye][None])[0].double().numpy()
    if s.pose_basis is not None:
        away = np.concatenate([(turn - np.eye(3)).reshape(-1) for turn in turns[1:]])
        verts = verts + np.tensordot(away, s.pose_basis.double().numpy(), 1)
    at = (s.position + torch.tensordot(identity, s.position_basis, 1)).double().numpy()
    world = []
    for k, parent in enumerate(s.parent):
        local = np.eye(4)
        local[:3, :3] = turns[k]
        local[:3, 3] = at[k] - (at[parent] if parent >= 0 else 0)
        world.append(local if parent < 0 else world[parent] @ local)
    rest = [np.eye(4) for _ in world]
    for k in range(5):
        rest[k][:3, 3] = -at[k]
    moved = [matrix @ back for matrix, back in zip(world, rest, strict=True)]
    out = np.zeros_like(verts)
    for v in range(len(verts)):
        matrix = sum(w * m for w, m in zip(s.weight[v].double().numpy(), moved, strict=True))
        out[v] = (np.linalg.inv(moved[1]) @ matrix @ np.append(verts[v], 1))[:3]
    return out


@pytest.mark.parametrize("pose", [False, True])
def test_skinning_is_the_slow_one(pose):
    model = from_arrays(jointed_arrays(pose=pose))
    given = values(model)
    bent = model.shape(*given)
    for face in (0, 1):
        expected = slow_shape(model, *(value[face] for value in given))
        np.testing.assert_allclose(bent[face].numpy(), expected, atol=2e-3)


def test_at_rest_nothing_moves(model):
    identity, expression, gaze, joints = values(model)
    rest = model.shape(identity, expression)
    same = model.shape(identity, expression, torch.zeros_like(gaze), torch.zeros_like(joints))
    assert torch.allclose(rest, same, atol=1e-4)


def test_the_face_stays_where_it_is_when_the_neck_bends():
    model = from_arrays(jointed_arrays(pose=False))
    assert NAMES[model.skeleton.carrier] == "neck"
    identity, expression, _, joints = values(model)
    joints[:, 2] = 0
    moved = (model.shape(identity, expression, joints=joints) - model.shape(identity, expression)).norm(dim=-1)
    face = model.skeleton.weight[:, 1] > 0.999
    assert face.any() and moved[:, face].max() < 1e-3
    assert moved[:, model.skeleton.weight[:, 0] > 0.9].min() > 5  # the shoulders turn below it


def test_the_jaw_opens_downwards_and_eyes_follow_the_gaze():
    model = from_arrays(jointed_arrays(pose=False))
    none = torch.zeros(1, 4), torch.zeros(1, 3)
    joints = torch.zeros(1, 5, 3)
    joints[0, 2, 0] = 0.3
    move = (model.shape(*none, joints=joints) - model.shape(*none))[0]
    chin = model.skeleton.weight[:, 2] > 0.9
    assert move[chin, 1].mean() < -3 and move[model.skeleton.weight[:, 2] == 0].abs().max() < 1e-3
    gaze = torch.zeros(1, 2, 2)
    gaze[0, 1, 0] = 0.3  # the left eye to the subject's left: its front goes to +x
    move = (model.shape(*none, gaze) - model.shape(*none))[0]
    front = (model.skeleton.weight[:, 4] == 1) & (model.verts[:, 2] > -15)
    assert move[front, 0].min() > 0 and move[model.skeleton.weight[:, 4] == 0].abs().max() < 1e-3


def test_gradients(model):
    identity, expression, gaze, joints = (value[:1].double().requires_grad_(True) for value in values(model))
    s = model.skeleton
    rows = torch.arange(0, len(model.verts), 40)
    small = replace(
        s, position=s.position.double(), position_basis=s.position_basis.double(), weight=s.weight[rows].double(),
        pose_basis=s.pose_basis[:, rows].double(),
    )  # fmt: skip
    at = model.verts[rows].double()[None]

    def bent(identity, joints, gaze):
        return small.bend(at, identity, small.rotations(1, joints, gaze))

    assert torch.autograd.gradcheck(bent, (identity, joints, gaze), eps=1e-5, atol=1e-5)


def test_the_landmark_stage_finds_an_open_jaw():
    model = from_arrays(jointed_arrays(pose=False))
    truth = torch.zeros(1, 5, 3)
    truth[0, 2, 0] = 0.2
    verts = model.shape(torch.zeros(1, 4), torch.zeros(1, 3), joints=truth)
    camera = Camera(torch.full((1, 2), 900.0), torch.full((1, 2), 112.0))
    pixels = project(model.landmarks(verts) + torch.tensor([0.0, 0.0, -900.0]), camera)
    config = replace(FitConfig(), calibrated=False, landmark_iterations=8)
    # without the contour, which marches
    confidence = torch.ones(1, 478)
    confidence[:, model.contour_landmarks] = 0
    found = solve_landmarks(model, pixels, confidence, camera, config)
    assert found.joints.shape == (1, 5, 3)
    assert found.joints[0, 2, 0].item() == pytest.approx(0.2, abs=0.05)
    assert not found.joints[0, [0, 3, 4]].any()  # root and eyes are others' business


def test_linearised_joints(model):
    basis = joint_basis(model)
    assert basis.shape == (6, *model.verts.shape)  # neck and jaw
    joints = torch.zeros(1, 5, 3)
    joints[0, 2, 0] = 0.01
    move = model.shape(torch.zeros(1, 4), torch.zeros(1, 3), joints=joints)[0] - model.verts
    assert torch.allclose(move, 0.01 * basis[3], atol=0.02)


def test_parameters_have_a_place_for_each_joint(model):
    start = Parameters.zeros(model.sizes, batch=3)
    assert start.joints.shape == (3, 5, 3) and start[[0, 2]].joints.shape == (2, 5, 3)
    assert (model.skeleton.spread() > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joint_names": np.array(["root", "neck", "jaw", "knee", "left_eye"])}, "knee"),
        ({"joint_parent": np.array([-1, 2, 1, 1, 1])}, "come before its child"),
        ({"joint_parent": np.array([-1, 0, 1, 1, 9])}, "joint_parent holds values outside"),
        ({"joint_weight": np.zeros((289, 5))}, "do not sum to 1"),
        ({"joint_pose_basis": np.zeros((9, 289, 3))}, "9 for each joint"),
        ({"joint_position": None}, "lacks joint_position"),
        ({"eyeball_weight": np.zeros(3)}, "eyeball_weight has shape"),
    ],
)
def test_a_wrong_file_is_one_line(change, message):
    arrays = {name: value for name, value in (jointed_arrays() | change).items() if value is not None}
    with pytest.raises(ModelError, match=message):
        from_arrays(arrays)


def test_a_whole_fit_turns_the_jaw_and_writes_it_down(tmp_path):
    """From landmarks alone, on a photo that says nothing else: the optimiser's joints, the JSON, and back."""
    from facefit.anatomy.parts import MASKS
    from facefit.fit.fit import fit_batch
    from facefit.geometry.camera import WindowTransform
    from facefit.observe.observation import Observation
    from facefit.output.document import load_parameters
    from facefit.output.write import write_result
    from facefit.render import load_renderer

    model = from_arrays(jointed_arrays(pose=False))
    truth = torch.zeros(1, 5, 3)
    truth[0, 2, 0] = 0.25
    verts = model.shape(torch.zeros(1, 4), torch.zeros(1, 3), joints=truth)
    camera = Camera(torch.full((1, 2), 900.0), torch.full((1, 2), 112.0))
    size = 224
    observation = Observation(
        image=torch.full((1, size, size, 3), 0.5),
        landmarks=project(model.landmarks(verts) + torch.tensor([0.0, 0.0, -900.0]), camera),
        landmark_confidence=torch.ones(1, 478).index_fill(1, model.contour_landmarks, 0.0),
        part_masks=torch.zeros(1, len(MASKS), size, size),
        valid=torch.zeros(1, size, size),
        brow_line=torch.tensor([[[0.0, -1.0, 0.0]] * 2]),
        camera=camera,
        window=WindowTransform(torch.zeros(1, 2), torch.ones(1), size),
    )
    config = replace(FitConfig(), energies=("landmark",), calibrated=False)
    config = replace(config, stage=replace(config.stage, iterations=10), weights=replace(config.weights, closure=0.0))
    result = fit_batch(observation, model, config, load_renderer("cpu"))[0]
    assert result.energies["joints"] > 0
    assert result.parameters.joints[0, 2, 0].item() == pytest.approx(0.25, abs=0.08)
    write_result(result, tmp_path / "mesh.obj", texture_size=64)
    parameters, _ = load_parameters(tmp_path / "mesh.json")
    assert torch.equal(parameters.joints, result.parameters.joints)

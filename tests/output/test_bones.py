"""A GLB with bones, posed by the strict reader's own skinning."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.gltf_reader import Glb
from helpers.synthetic_result import synthetic_result
from helpers.toy_model import toy_arrays, with_pieces

from facefit.files.glb import Animation
from facefit.geometry.rotation import rotation_matrix
from facefit.model.model_file import from_arrays
from facefit.model.skeleton import gaze_rotation
from facefit.output.bones import head_bones
from facefit.output.morph_glb import morph_glb
from facefit.output.morph_targets import Morphs, morph_targets

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def result():
    return synthetic_result(from_arrays(with_pieces(toy_arrays())), yaw=0.3)


@pytest.fixture(scope="module")
def morphs(result):
    return morph_targets(result.scene)


@pytest.fixture(scope="module")
def glb(result, morphs):
    return Glb(morph_glb(result.model, morphs, PNG, bones=True))


def test_at_rest_bones_change_nothing(result, morphs, glb):
    plain = Glb(morph_glb(result.model, morphs, PNG))
    np.testing.assert_array_equal(glb.triangles(), plain.triangles())
    np.testing.assert_allclose(glb.shown(), plain.shown(), atol=1e-6)
    assert [node["name"] for node in glb.document["nodes"]] == ["Head", "RightEye", "LeftEye", "head"]
    assert glb.document["nodes"][0]["children"] == [1, 2]


def test_an_eye_turns_as_the_gaze_does(result, morphs, glb):
    """And nothing but that eye."""
    model, gaze = result.model, torch.tensor([[0.2, 0.1], [0.0, 0.0]])  # of the right eye, radians
    with torch.no_grad():
        looking = model._turn_eyes(torch.tensor(morphs.base, dtype=torch.float32)[None], gaze[None])[0].numpy()
    still = np.zeros(len(morphs.names))  # the toy's expressions move its eyes
    wanted = Glb(morph_glb(model, replace(morphs, base=looking), PNG)).shown(still)
    shown = glb.skinned(glb.attribute("POSITION", still), {"RightEye": gaze_rotation(gaze)[0].double().numpy()})
    np.testing.assert_allclose(shown, wanted, atol=1e-6)
    assert np.abs(shown - glb.shown(still)).max() > 1e-4  # metres


def test_the_head_takes_its_eyes_along(glb):
    turn = rotation_matrix(torch.tensor([[0.1, 0.4, -0.2]], dtype=torch.float64))[0].numpy()
    np.testing.assert_allclose(
        glb.skinned(glb.attribute("POSITION"), {"Head": turn}), glb.shown() @ turn.T, atol=1e-6
    )  # fmt: skip


def test_an_animation_moves_the_head_bone(result, morphs):
    turn = rotation_matrix(torch.tensor([[0.0, 0.5, 0.0]], dtype=torch.float64))[0].numpy()
    quaternion = np.array([[0, 0, 0, 1], [0, np.sin(0.25), 0, np.cos(0.25)]])
    film = Animation(
        seconds=np.array([0.0, 1.0]), translation=np.array([[0, 0, 0], [0.1, 0.2, -0.5]]), rotation=quaternion,
        weights=np.stack([morphs.weights, morphs.weights * 0.5]), camera=None,
    )  # fmt: skip
    glb = Glb(morph_glb(result.model, morphs, PNG, film, bones=True))
    np.testing.assert_allclose(glb.posed(1), glb.shown(film.weights[1]) @ turn.T + film.translation[1], atol=1e-6)
    (animation,), names = glb.document["animations"], [node["name"] for node in glb.document["nodes"]]
    moved = {channel["target"]["path"]: names[channel["target"]["node"]] for channel in animation["channels"]}
    assert moved == {"translation": "Head", "rotation": "Head", "weights": "head"}


def test_a_head_without_eyeballs_has_one_bone(result):
    model = replace(result.model, eyeball=torch.zeros_like(result.model.eyeball), eyeball_weight=None)
    bones = head_bones(model, model.verts.numpy())
    assert bones.names == ("Head",) and not bones.vertex.any()


def test_whole_numbers_and_bones_are_refused(result):
    still = Morphs(result.verts, np.zeros((0, *result.verts.shape)), (), np.zeros(0))
    with pytest.raises(ValueError, match="not both"):
        morph_glb(result.model, still, PNG, quantize=True, bones=True)

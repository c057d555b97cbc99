"""Shapes adapted to photos: a person's own way to smile is found, noise and too few photos change nothing."""

import numpy as np
import pytest
from helpers.toy_faces import toy_face
from scipy.spatial.transform import Rotation

from facefit.anatomy.landmarks import LANDMARKS
from facefit.model.model_file import from_arrays
from facefit.rig import adapt
from facefit.rig.adapt import Shown, adapted_shapes


@pytest.fixture(scope="module")
def toy():
    """A face whose first shape is a smile and whose second one a blink."""
    arrays = toy_face(17, eyes=True)
    names = [str(name) for name in arrays["expression_names"]]
    names[:2] = ["mouthSmileLeft", "eyeBlinkLeft"]
    return from_arrays(arrays | {"expression_names": np.array(names)})


def photos_of(toy, shapes, count, noise=0.3, seed=0):
    """Photos of a face with these shapes, whose weights are known."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        weights = rng.uniform(0.0, 1.0, len(shapes))
        turn = Rotation.from_euler("yx", rng.uniform(-30, 30, 2), degrees=True).as_matrix()
        verts = toy.verts.double().numpy() + np.einsum("e,evd->vd", weights, shapes)
        placed = adapt._points(toy, verts[None])[0] @ turn.T + (0, 0, -600)
        pixels = 250 + 600 * placed[:, :2] / -placed[:, 2:] * (1, -1) + noise * rng.normal(size=(LANDMARKS, 2))
        found.append(
            Shown(
                weights,
                turn,
                np.array([0, 0, -600.0]),
                np.full(2, 600.0),
                np.full(2, 250.0),
                pixels,
                np.ones(LANDMARKS),
            )
        )
    return found


def numbers(tensor):
    return tensor.double().numpy()


def test_an_own_smile_is_found_and_lids_stay(toy):
    generic = numbers(toy.expression_basis)
    own = generic.copy()
    corner = np.linalg.norm(numbers(toy.verts) - adapt._points(toy, numbers(toy.verts)[None])[0, 61], axis=1)
    near = np.exp(-((corner / 25) ** 2))[:, None]  # a motion of all would be a turn of the head
    own[0] += near * np.linalg.norm(generic[0], axis=1, keepdims=True) * (0.6, 0.8, 0.0)
    found = adapted_shapes(toy, numbers(toy.verts), generic, photos_of(toy, own, 10, noise=0.1))
    assert found.groups == ("mouth",) and "adapted: mouth; held-out photos: mouth" in found.sentence
    before, after = found.held_out["mouth"]
    assert after < 0.95 * before

    def off(shapes):
        return np.linalg.norm(adapt._points(toy, shapes[:1] - own[:1])[0, 61])

    assert off(found.shapes) < 0.85 * off(generic)
    assert np.array_equal(found.shapes[1:], generic[1:])


def test_noise_changes_nothing(toy):
    generic = numbers(toy.expression_basis)
    found = adapted_shapes(toy, numbers(toy.verts), generic, photos_of(toy, generic, 8, noise=2.0))
    assert found.shapes is generic and not found.groups and "no shapes adapted" in found.sentence


def test_few_photos_say_so(toy):
    generic = numbers(toy.expression_basis)
    found = adapted_shapes(toy, numbers(toy.verts), generic, photos_of(toy, generic, 5, seed=2))
    assert found.shapes is generic
    assert found.sentence == (
        "shapes stay as they were carried: 5 of 5 photos show an expression (a shape at 0.2 or more), 6 are needed"
    )

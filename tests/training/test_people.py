"""The population's Gaussian in another model's components: known from how the toy people were made."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.toy_model import toy_arrays
from scipy import sparse

from facefit.anatomy.landmarks import CHIN
from facefit.anatomy.parts import LABEL
from facefit.convert.surface_fit import SurfaceFit
from facefit.errors import ModelError
from facefit.geometry.closest_point import ClosestPoint
from facefit.geometry.similarity import Similarity
from facefit.importers.default_head.head import Head, reach_of_face
from facefit.importers.default_head.people import (
    STRIDE,
    TOLD,
    IdentityPrior,
    Throat,
    of_throat,
    smooth_behind,
    with_people,
)  # fmt: skip
from facefit.model.model_file import from_arrays
from training.people import BREADTH, identity_prior, throat

SHIFT = np.array([1.5, -1.0, 0.5, 2.0])
MIX = np.array([[1.5, 0.0, 0.0, 0.0], [0.5, 1.0, 0.0, 0.0], [0.0, -0.7, 0.8, 0.0], [0.3, 0.0, 0.0, 0.2]])


@pytest.fixture(scope="module")
def made():
    """A toy head, and another model whose people are the first one's with another mean and covariance, turned and
    moved as a whole."""
    own = toy_arrays(33, 33)
    theirs = dict(own)
    basis = own["identity_basis"].astype(np.float64)
    turn = np.array([[np.cos(0.05), -np.sin(0.05), 0], [np.sin(0.05), np.cos(0.05), 0], [0, 0, 1]])
    motion = Similarity(1.0, turn, np.array([4.0, -3.0, 2.0]))
    theirs["verts"] = motion(own["verts"] + np.tensordot(SHIFT, basis, 1)).astype(np.float32)
    theirs["identity_basis"] = (np.tensordot(MIX.T, basis, 1) @ turn.T).astype(np.float32)
    return from_arrays(own), from_arrays(theirs)


def test_mean_and_covariance_are_found_whatever_the_frame(made):
    own, people = made
    prior = identity_prior(own, people)
    np.testing.assert_allclose(prior.mean, SHIFT, atol=0.15)
    spread = prior.root @ prior.root.T - BREADTH * np.eye(4)
    np.testing.assert_allclose(spread, MIX @ MIX.T, atol=0.15 * np.abs(MIX @ MIX.T).max())
    sizes = np.linalg.norm(prior.applied(own.verts.numpy(), own.identity_basis.double().numpy())[1], axis=(1, 2))
    assert (np.diff(sizes) < 0.1 * sizes[0]).all() and sizes[0] > 2 * sizes[3]  # the largest first, in mm
    assert prior.about["rms"]["shift_left"] < 0.1 * prior.about["rms"]["shift"]
    assert prior.about["rms"]["people_left"] < 0.1 * prior.about["rms"]["people"]


def test_the_model_with_the_prior_makes_those_people(made):
    own, people = made
    prior = identity_prior(own, people)
    verts, basis = prior.applied(own.verts.double().numpy(), own.identity_basis.double().numpy())
    expected = np.tensordot(prior.mean + prior.root @ [1.0, 0, -2.0, 0.5], own.identity_basis.double().numpy(), 1)
    found = verts + np.tensordot([1.0, 0, -2.0, 0.5], basis, 1)
    np.testing.assert_allclose(found, own.verts.numpy() + expected, atol=1e-4)
    # the size is theirs: the same people, ten per cent larger, are larger in the model too
    larger = {name: getattr(people, name) for name in ("verts", "identity_basis")}
    grown = identity_prior(own, replace(people, **{name: 1.1 * value for name, value in larger.items()}))
    grown_verts, _ = grown.applied(own.verts.double().numpy(), own.identity_basis.double().numpy())
    assert np.ptp(grown_verts[:, 1]) > np.ptp(verts[:, 1]) * 1.005


def test_people_of_other_components_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(3, 120, 3))
    quads = np.arange(120).reshape(30, 4)
    base = SimpleNamespace(quads=quads, group=np.array(["skin"] * 20 + ["mouth"] * 10))
    head = Head(base, rng.normal(size=(120, 3)), basis, np.zeros((1, 120, 3)), ("jawOpen",))
    throat = Throat(np.zeros((120, 3)), np.zeros(120))
    throat.told[:8], throat.shift[:8] = 1.0, basis[0, :8] - basis[2, :8] + [0, 3.0, 0]
    prior = IdentityPrior(np.array([1.0, 0, -1]), 2 * np.eye(3), {"name": "them"}, basis[:, ::STRIDE], throat)
    prior.save(tmp_path / "people.npz")
    mirror, landmarks = np.arange(120), np.zeros((478, 3))  # the face is everywhere
    found = with_people(head, IdentityPrior.load(tmp_path / "people.npz"), mirror, landmarks, sparse.eye(120))
    np.testing.assert_allclose(found.identity, 2 * basis)
    without = (head.mean + basis[0] - basis[2])[:, 1:]
    np.testing.assert_allclose(found.mean[8:, 1:], without[8:])
    # what the throat is told is where it lies and not how far it moves: it has moved with the people already
    np.testing.assert_allclose(found.mean[:8, 1:].mean(0), without[:8].mean(0) + [3.0, 0], atol=0.01)
    turned = replace(head, identity=basis * np.array([1, -1, 1])[:, None, None])  # the sign of one component
    with pytest.raises(ModelError, match="other components"):
        with_people(turned, prior, mirror, landmarks, sparse.eye(120))


def band():
    """A head that is a flat band, 200 by 30 mm in squares of 5, and its places along and across."""
    along, across = np.meshgrid(np.arange(0, 200, 5.0), np.arange(0, 30, 5.0), indexing="ij")
    verts = np.stack([along, across, 0 * along], -1).reshape(-1, 3)
    number = np.arange(len(verts)).reshape(along.shape)
    quads = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], -1).reshape(-1, 4)
    base = SimpleNamespace(quads=quads, group=np.array(["skin"] * len(quads)))
    return Head(base, verts, np.zeros((1, *verts.shape)), np.zeros((1, *verts.shape)), ("jawOpen",)), along


def test_the_throat_goes_smoothly_where_it_was_told():
    head, along = band()
    told = np.clip((along.ravel() - 60) / 40, 0, 1)
    shift = np.random.default_rng(0).normal(0, 0.2, (len(told), 3)) + [0, 0, 8.0]
    moved = of_throat(head, Throat(shift, told), sparse.csr_matrix(sparse.eye(len(told))))
    assert (moved[told == 0] == 0).all()
    np.testing.assert_allclose(moved[told == 1].mean(0), [0, 0, 8.0], atol=0.15)
    path = moved[:, 2].reshape(along.shape).mean(1)
    assert np.diff(path).min() > -0.3 and np.abs(np.diff(path, 2)).max() < 2.0  # 8 mm in some steps, and no edge
    # of what has no share nothing is believed, and half of the vertices say as much as all
    wild = np.where(told[:, None] > 0, shift, 50.0)
    np.testing.assert_array_equal(of_throat(head, Throat(wild, told), sparse.csr_matrix(sparse.eye(len(told)))), moved)


def test_the_throat_is_where_the_other_model_has_it(made):
    own, people = made
    at = own.landmark_faces.clone()
    at[[0, 1, 168]], at[CHIN] = (
        16 * 32 + 16,
        9 * 32 + 16,
    )  # the middle, and a fifth above the lower end
    own = replace(own, landmark_faces=at)
    chin = own.landmarks(own.verts[None])[0, CHIN, 1]
    label = np.where(own.verts[:, 1] < chin + 60, LABEL["head"], own.vertex_label).astype(np.uint8)
    own = replace(own, vertex_label=torch.from_numpy(label))
    deeper = replace(people, verts=people.verts - torch.tensor([0.0, 0, 6.0]) * (own.verts[:, 1:2] < chin))
    fit = SurfaceFit(
        own.verts.double().numpy(), np.zeros((7, 3)), *[np.zeros(0)] * 3, Similarity(1.0, np.eye(3), np.zeros(3))
    )
    found = throat(own, deeper, fit)
    below = found.told > 0.99
    assert below.any() and (found.told[own.vertex_label.numpy() != LABEL["head"]] == 0).all()
    assert (found.shift[found.told == 0] == 0).all()
    surface = ClosestPoint(deeper.verts.double().numpy(), deeper.faces.numpy())
    assert surface(own.verts.double().numpy()[below] + found.shift[below])[0].max() < 1e-6


def test_behind_the_face_displacements_are_smooth():
    head, along = band()
    verts = head.mean
    rough = np.random.default_rng(0).normal(size=verts.shape) + 0.05 * verts[:, :1]
    face = reach_of_face(verts, np.zeros((478, 3))) <= TOLD
    rough[face] = 0.05 * verts[face, :1]
    (smooth,) = smooth_behind(head, rough[None], np.zeros((478, 3)))
    np.testing.assert_array_equal(smooth[face], rough[face])
    bent = [np.abs(np.diff(field.reshape(*along.shape, 3)[14:], 2, 0)).max() for field in (rough, smooth)]
    assert bent[0] > 2 and bent[1] < 0.2
    assert np.abs(smooth[~face].mean() - rough[~face].mean()) < 0.7  # but it still goes with the face

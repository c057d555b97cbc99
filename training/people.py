"""Who people are, for `make model`: mean and covariance of a population that was scanned, ICT-FaceKit's.

    facefit models add ict --download
    python -m facefit.importers.default_head.build -o build/sliders.npz
    python -m training.people --head build/sliders.npz --out build/people.npz

Mean and covariance of the other model's identities are carried over into the default model's own components.
The default model's people are made of sliders that measure like the surveys. Surveys have thirteen measures and a face
has thousands: on scans the mean of a scanned population is nearer to everybody than that of the sliders, and its
components say better how faces differ. What is carried over is a Gaussian in the default model's coefficients.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from facefit.anatomy.landmarks import CHIN
from facefit.anatomy.parts import LABEL, PARTS
from facefit.compute.smoothstep import smoothstep
from facefit.convert.surface_fit import Samples, SurfaceFit, fit_surface, near_face
from facefit.geometry.closest_point import ClosestPoint
from facefit.geometry.mesh_graph import largest_piece
from facefit.geometry.triangles import sample_surface, triangle_weights
from facefit.importers.default_head.head import reach_of_face
from facefit.importers.default_head.people import STRIDE, IdentityPrior, Throat
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model

POINTS = 6000  # of the population's mean face, to lay the default head on it

REACH = 4.0  # mm; farther, a vertex of the default head has no counterpart

RIDGE = 10.0  # mm^2 that a squared deviation costs, over all vertices: what the basis cannot show is not chased

HEAD = 0.01  # weight of a vertex of skull, ears and neck, which shall stay where it is: what the face alone says of
# them is made up (ears of 70 % of their height; with this 78 %; with ten times this the face is .04 mm worse)

# of the face's reach, mm above the chin and mm before it: from where nothing is said of the throat to where all is
BESIDE, ABOVE, BEHIND = (1.0, 1.25), (40.0, 10.0), (-110.0, -85.0)

BREADTH = 0.1  # variance added in every direction: the population's hundred components are not all there is


def identity_prior(model: FaceModel, people: FaceModel) -> IdentityPrior:
    """The identities of `people` as a Gaussian of `model`'s coefficients.

    The model is laid on the other's mean face without scaling, which says where each of its vertices lies there; the
    other's mean and components at these places are then explained by the model's, together with a motion.
    """
    theirs = people.verts.double().numpy()
    surface = _face(people, people.faces.numpy())
    marks = people.landmarks(people.verts[None])[0].double().numpy()
    # both are at rest: an expression would only take the identity's part
    still = replace(model, expression_basis=torch.zeros_like(model.expression_basis))
    face = _face(model, near_face(model))  # and nothing of the mouth's inside, which lies close under the skin
    points = Samples(sample_surface(theirs, surface, POINTS, seed=1))
    fit = fit_surface(still, points, marks, size=False, faces=face)
    used = np.unique(face)
    distance, place, triangle = ClosestPoint(theirs, surface)(fit.motion(fit.verts)[used])
    used, place, triangle = (value[distance < REACH] for value in (used, place, surface[triangle]))
    weight = triangle_weights(place, theirs[triangle])
    moves = np.einsum("nvkx,vk->nvx", people.identity_basis.double().numpy()[:, triangle], weight)

    own = model.verts.double().numpy()[used]
    basis = model.identity_basis.double().numpy()[:, used].transpose(1, 2, 0)  # (V', 3, I)
    shift, moves = fit.motion.inverse(place) - own, moves @ fit.motion.rotation
    count = basis.shape[2]
    design = np.concatenate([basis, _motions(own)], 2).reshape(-1, count + 6)
    normal = design.T @ design + np.diag([RIDGE] * count + [1e-6] * 6)
    head = np.flatnonzero(model.vertex_label.numpy() == LABEL["head"])
    behind = model.identity_basis.double().numpy()[:, head].transpose(1, 2, 0).reshape(-1, count)
    normal[:count, :count] += HEAD * behind.T @ behind
    found = np.linalg.solve(normal, design.T @ np.stack([shift, *moves]).reshape(len(moves) + 1, -1).T)
    left = np.stack([shift, *moves]).reshape(len(moves) + 1, -1).T - design @ found
    mean, components = found[:count, 0], found[:count, 1:]
    root = np.linalg.cholesky(components @ components.T + BREADTH * np.eye(count))
    # a turn of z changes no likelihood: the one that sorts what the directions do to the face, in mm
    moved_by = (basis @ root).reshape(-1, count)
    _, turn = np.linalg.eigh(moved_by.T @ moved_by)
    moved = shift.reshape(-1) - design[:, count:] @ found[count:, 0]
    rms = {"shift": _rms(moved), "shift_left": _rms(left[:, 0]), "people": _rms(*moves.reshape(len(moves), -1)),
           "people_left": _rms(*left[:, 1:].T)}  # fmt: skip
    about = {"name": f"{people.name} {people.version}", "license": people.license, "provenance": people.provenance}
    about |= {"rms": {name: round(v, 2) for name, v in rms.items()}}
    return IdentityPrior(mean, root @ turn[:, ::-1], about, throat=throat(model, people, fit))


def throat(model: FaceModel, people: FaceModel, fit: SurfaceFit) -> Throat:
    """What lies under the jaw: where the other model's mean has it, as far as the model is no part of the face there.

    The components of a face say nothing of it, and the jaw's line in a picture is where face and throat meet.

    Args:
        fit: the model laid on the other's mean face.
    """
    theirs = people.verts.double().numpy()
    faces, label = people.faces.numpy(), people.vertex_label.numpy()
    outside = largest_piece((label != LABEL["mouth_inside"]) & (people.eyeball.numpy() == 0), faces)
    own = model.verts.double().numpy()
    marks = model.landmarks(model.verts[None])[0].double().numpy()
    _, above, before = (own - marks[CHIN]).T
    told = _from_to(reach_of_face(own, marks), *BESIDE) * _from_to(above, *ABOVE) * _from_to(before, *BEHIND)
    told = told * (model.vertex_label.numpy() == LABEL["head"])
    place = ClosestPoint(theirs, faces[outside[faces].all(1)])(fit.motion(fit.verts))[1]
    return Throat((fit.motion.inverse(place) - own) * (told > 0)[:, None], told)


def _from_to(value: np.ndarray, nothing: float, all_of_it: float) -> np.ndarray:
    return smoothstep((value - nothing) / (all_of_it - nothing))


def _face(model: FaceModel, faces: np.ndarray) -> np.ndarray:
    """Those of the triangles (F, 3) that lie on the skin of the eight parts."""
    label, eyeball = model.vertex_label.numpy(), model.eyeball.numpy()
    face = (label >= 1) & (label <= len(PARTS)) & (eyeball == 0)
    return faces[face[faces].all(1)]


def _motions(points: np.ndarray) -> np.ndarray:
    """(V, 3, 6) what small turns about the middle of (V, 3) points and shifts do to them."""
    around = points - points.mean(0)
    turns = np.cross(np.eye(3)[:, None], around).transpose(1, 2, 0)
    return np.concatenate([turns, np.broadcast_to(np.eye(3), (len(points), 3, 3))], 2)


def _rms(*values: np.ndarray) -> float:
    """Root of the mean squared length of vertices' moves, the components (each (3 V,)) added up."""
    return float(np.sqrt(sum((value**2).sum() for value in values) / (len(values[0]) / 3)))


def main(arguments: list[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ict", default="ict", help="model file of ICT-FaceKit, or the name it was added under")
    parser.add_argument("--head", type=Path, required=True, help="model file of the default head with sliders' people")
    parser.add_argument("--out", type=Path, default=Path("build/people.npz"), help="the .npz to write")
    options = parser.parse_args(arguments)
    prior = identity_prior(load_model(options.head), load_model(options.ict))
    with np.load(options.head) as file:
        prior = replace(prior, probe=file["identity_basis"][:, ::STRIDE].astype(np.float32))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    prior.save(options.out)
    print(f"{options.out}: {prior.about['rms']} mm")


if __name__ == "__main__":
    main()

"""Where the points that a network observes lie on another head: the default head is fitted to its mean face."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ..anatomy.landmarks import IRISES
from ..anatomy.parts import LABEL
from ..geometry.closest_point import ClosestPoint
from ..geometry.triangles import sample_triangles, triangle_normals, triangle_weights
from ..model.face_model import FaceModel
from ..model.model_file import from_arrays
from ..scene.silhouette import neck
from .surface_fit import Samples, fit_surface

SAMPLES = 6000  # points of the head's face that the default head is fitted to
NEAR = 30.0  # mm about the landmarks: of the face
FAR = 3.0  # mm between a point of the default head and the other's surface; more is another place


def with_dense_points(arrays: dict[str, np.ndarray], own: FaceModel) -> dict[str, np.ndarray]:
    """Arrays of a model file, and those of the points. A decoder goes without: the landmark stage does not follow its
    points from code to code.

    Args:
        own: a model that has the points.
    """
    return arrays if "decoder_network" in arrays else arrays | dense_point_arrays(from_arrays(arrays), own)


def dense_point_arrays(model: FaceModel, own: FaceModel) -> dict[str, np.ndarray]:
    """`dense_faces` and `dense_bary` of a model file (facefit.model.face_model) for a head without them.

    Args:
        model: the head, in mm, with landmarks. own: one that has the points.
    Raises:
        ValueError: `own` has none.
    """
    if own.dense_faces is None or own.dense_bary is None:
        raise ValueError(f"{own.name} has no dense points to carry over")
    verts, landmarks = model.verts.double().numpy(), model.landmarks(model.verts[None])[0].double().numpy()
    skin = (model.eyeball == 0).numpy() & (model.vertex_label != LABEL["mouth_inside"]).numpy()
    faces = model.faces.numpy()
    faces = faces[skin[faces].all(1)]
    samples = face_samples(verts, faces, landmarks)
    landmarks[IRISES] = np.nan
    fit = fit_surface(own, samples, landmarks, size=False)
    corners = fit.verts[own.faces[own.dense_faces].numpy()]
    placed = fit.motion((corners * own.dense_bary.numpy()[:, :, None]).sum(1))
    distance, closest, found = ClosestPoint(verts, faces)(placed)
    number = np.flatnonzero(skin[model.faces.numpy()].all(1))[found]
    return {
        "dense_faces": np.where(distance < FAR, number, -1).astype(np.int32),
        "dense_bary": triangle_weights(closest, verts[faces[found]]).astype(np.float32),
    }


def face_samples(verts: np.ndarray, faces: np.ndarray, landmarks: np.ndarray) -> Samples:
    """Points of a head's face to register it by, without its throat: where throats differ, jaws would go astray.

    Args:
        verts: (V, 3) mm; faces: (F, 3) of its skin; landmarks: (478, 3) mm on it.
    """
    middle = verts[faces].mean(1)
    of_face = (cKDTree(landmarks[: IRISES.start]).query(middle)[0] < NEAR) & ~neck(middle, landmarks)
    corners = verts[faces[of_face]]
    face, weights = sample_triangles(corners, SAMPLES)
    return Samples((corners[face] * weights[:, :, None]).sum(1), triangle_normals(corners)[face])

"""From a photo to files of the same photo with other expressions, with labels and landmarks: `facefit synth --from`."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

from ..anatomy.landmarks import IBUG68
from ..errors import ImageError
from ..files.picture_bytes import png_bytes
from ..fit.descent import fit_observed
from ..fit.instruments import Instruments
from ..model.face_model import FaceModel
from ..observe.faces import select_faces
from ..observe.parse import parse_photo
from ..photo.photo import Photo
from .edited import Edited, edit_document, edited
from .expressions import NAMED, has_units
from .truth import celebamask, truth_of

EDITS = NAMED[2:]  # what is no expression of its own cannot be put on a face
LARGEST = 3000  # pixels: the longer side of a photo whose every pixel gets depth, normal and place


def edit_names(photo: Path, folder: Path, wanted: tuple[str, ...]) -> list[Path]:
    """The files that will be written: picture, truth and JSON of each expression."""
    return [folder / f"{photo.stem}_{name}{suffix}" for name in wanted for suffix in (".png", ".npz", ".json")]


def edit_photo(photo: Photo, wanted: tuple[str, ...], instruments: Instruments, seed: int = 0) -> list[bytes]:
    """Fit the largest face and give it other expressions.

    Args:
        wanted: of EDITS. seed: of how strong they are.
    Returns:
        The contents of `edit_names`, in its order.
    Raises:
        NoFaceError, FitError: as a fit raises them. ImageError: the photo is too large.
    """
    if max(photo.width, photo.height) > LARGEST:
        raise ImageError(f"{photo.path}: {photo.width} x {photo.height} pixels; accepted: up to {LARGEST} a side")
    face = select_faces(instruments.detector.detect(photo.pixels), "largest")[0]
    observation = instruments.observe(photo, face)
    result = fit_observed(observation, instruments, photo=photo)[0]
    labels = parse_photo(photo, "largest", instruments.segmenter, instruments.detector).labels
    files = []
    for name in wanted:
        made = edited(result, labels, face.landmarks, name, np.random.default_rng((seed, NAMED.index(name))))
        stream = BytesIO()
        np.savez_compressed(stream, allow_pickle=False, **edited_arrays(made))
        files += [png_bytes(made.picture), stream.getvalue(), edit_document(result, name, made)]
    return files


def edited_arrays(made: Edited) -> dict[str, np.ndarray]:
    """The arrays of the table in docs/synthetic.md, as far as a photo has them."""
    height, width = made.labels.shape
    square = np.zeros((max(height, width),) * 2, np.uint8)
    square[:height, :width] = made.labels
    verts = made.scene.verts_in("camera").astype(np.float32)
    truth = truth_of(made.scene.model, verts, made.scene.camera, square)
    own, jaw = made.scene.parameters, list(IBUG68)
    clothes = np.zeros(made.labels.shape, bool)
    inside = (made.landmarks < (width, height)).all(1)
    return {
        "labels": made.labels,
        "celebamask19": celebamask(made.labels, clothes, made.landmarks),
        "depth": truth.depth[:height, :width],
        "normals": np.rint(truth.normals[:height, :width] * 127).astype(np.int8),
        "uv": np.rint(truth.uv[:height, :width] * 65535).astype(np.uint16),
        "landmarks": made.landmarks,
        "landmarks_3d": truth.points.astype(np.float32),
        "landmarks_visible": truth.visible & inside,
        "landmarks68": made.landmarks[jaw],
        "landmarks68_3d": truth.points[jaw].astype(np.float32),
        "identity": own.identity[0].numpy(),
        "expression": own.expression[0].numpy(),
        "gaze": own.gaze[0].numpy(),
        "rotvec": own.rotvec[0].numpy(),
        "translation": own.translation[0].numpy(),
        "focal": made.scene.camera.focal[0].numpy(),
        "centre": made.scene.camera.centre[0].numpy(),
        "sh": own.sh[0].numpy(),
    }


def check_edits(wanted: tuple[str, ...], model: FaceModel) -> None:
    """Raises ValueError: an expression that cannot be put on a face, or a model that has not the units for it."""
    for name in wanted:
        if name not in EDITS:
            raise ValueError(f"expression {name!r}; accepted with --from: {', '.join(EDITS)}")
    if not (model.activation and has_units(model.expression_names)):
        raise ValueError(f"face model {model.name!r} has no face units of ARKit, which --from needs")

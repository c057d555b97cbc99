"""A SourceModel as the arrays of a model file (facefit.model.face_model): what the original lacks is found by looking.

Order: a first look at the plain mean face -> origin between the eyes, symmetry -> texture coordinates -> colours ->
landmarks and parts on coloured renders -> the detector's bias and covariance on random people of this model.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..anatomy.landmarks import EYE_CORNERS, LEFT_EYE, LIPS_OUTER, LOWER_LIP_BOTTOM, RIGHT_EYE, UPPER_LIP_TOP
from ..anatomy.parts import LABEL
from ..errors import ModelError
from ..geometry.mirror import centre_weights, middle_x, mirrored_vertices, sphere_centre
from ..model.face_model import FaceModel
from ..model.model_file import DECODED, FORMAT, from_arrays, load_model
from ..model.source import Joints, SourceModel
from ..observe.detector import load_detector
from ..observe.faces import LandmarkDetector
from ..observe.segment.contract import PartSegmenter
from ..observe.segment.load import load_segmenter
from ..scene.silhouette import ears
from .annotate import annotate_landmarks, neutral_looks, part_weights
from .appearance import Pieces, plain_colours, transferred_albedo
from .atlas import texture_atlas
from .calibrate import RENDERS, calibrate_detector
from .contour import contour_rows
from .photograph import Subject, photograph, surface_points, turned

logger = logging.getLogger(__name__)

SEED = 20261
JAW_OPEN = 0.55  # activation of jawOpen at which the inner lips are looked for
JAW_TURN = 0.25  # radians of the jaw joint for the same
LIP_GAP = 14.0  # mm between the lips for the same, of a model with neither; at most GAUSSIAN_REACH deviations
GAUSSIAN_REACH = 3.0
EYE_LOOKS = "eyeLook"  # units that turn an eyeball in some models: here that is the gaze

Report = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """What the steps hand on: the source with its origin between the eyes, and what was found so far."""

    source: SourceModel
    pieces: Pieces
    symmetry: np.ndarray
    landmark_face: np.ndarray
    landmark_bary: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """(478, 3) mm, the landmarks on the mean face."""
        corners = self.source.verts[self.source.faces[self.landmark_face]]
        return (corners * self.landmark_bary[:, :, None]).sum(1).astype(np.float64)


def install_arrays(
    source: SourceModel,
    *,
    detector: LandmarkDetector | None = None,
    segmenter: PartSegmenter | None = None,
    donor: FaceModel | None = None,
    renders: int = RENDERS,
    report: Report | None = None,
) -> dict[str, np.ndarray]:
    """Name -> array of the model file (facefit.model.face_model).

    Args:
        detector, segmenter: None: the default detector, the polygons.
        donor: the model whose colours a model without takes; None: the default one.
        renders: random people on whom the detector is calibrated.
        report: called with a line of words at each step.
    Raises:
        ModelError: no face is found on the renders, or the model cannot be made to fit the format.
    """
    report = report or (lambda line: logger.info("%s", line))
    detector, segmenter = detector or load_detector(), segmenter or load_segmenter("polygons")
    donor = donor or load_model()
    report("looking for the face")
    source = without_eye_turns(source)
    pieces = known_pieces(source)
    plain = source.albedo_mean if source.albedo_mean is not None else plain_colours(source.verts, pieces)
    source = centred(source, pieces, plain, detector, donor)
    symmetry = mirrored_vertices(source.verts, _groups(source, pieces))
    opened = opened_mouth(source, None)
    report("finding the landmarks")
    looks = neutral_looks(source.verts, source.verts if opened is None else opened, [plain])
    face, bary = _landmarks(source, looks, detector, symmetry)
    stage = Stage(source, pieces, symmetry, face, bary)
    if not pieces.eyeball.any():  # the corners of the eyes are known better now
        stage = replace(stage, source=shifted(source, _eye_offset(stage.points, donor)))
    source = stage.source

    uv, uv_faces = source.uv, source.uv_faces
    if uv is None or uv_faces is None:
        report("cutting an atlas")
        uv, uv_faces = texture_atlas(source.verts, source.faces, _front(source.verts, stage.points))

    report("colours")
    mean, basis = albedo(stage, donor)
    report("landmarks and parts")
    tone = basis[0] if len(basis) else np.zeros_like(mean)
    tones = [mean, np.clip(mean + 1.2 * tone, 0, 1), np.clip(mean - 1.3 * tone, 0, 1)]
    opened = opened_mouth(source, stage)
    looks = neutral_looks(source.verts, source.verts if opened is None else opened, tones)
    face, bary = _landmarks(source, looks, detector, symmetry)
    stage = replace(stage, landmark_face=face, landmark_bary=bary)
    known = np.zeros(len(source.verts), np.uint8) if source.label_hint is None else source.label_hint.astype(np.uint8)
    known = np.where(pieces.eyeball == 1, LABEL["right_eye"], np.where(pieces.eyeball == 2, LABEL["left_eye"], known))
    weight = part_weights(source.verts, source.faces, looks, detector, segmenter, symmetry, known)
    allowed = pieces.shell & (known == 0) & ~ears(source.verts, stage.points)
    rows, marching = contour_rows(source.verts, source.faces, stage.points, allowed)
    if len(rows) == 0:
        raise ModelError(f"{source.name}: no surface beside the face's outline was found; is this a face?")

    arrays = _arrays(stage, uv, uv_faces, mean, basis, weight, rows, marching)
    if renders:
        report(f"the detector on {renders} random people")
        yaw, bias, covariance = calibrate_detector(from_arrays(arrays), detector, renders, seed=SEED)
        arrays |= {"landmark_yaw": yaw, "landmark_bias": bias, "landmark_covariance": covariance}
    return arrays


def known_pieces(source: SourceModel) -> Pieces:
    """Eyeballs and the mouth's inside, as far as the original names them."""
    none = np.zeros(len(source.verts), int)
    eyeball = none if source.eyeball is None else source.eyeball
    hint = none if source.label_hint is None else source.label_hint
    return Pieces(eyeball, (hint == LABEL["mouth_inside"]) & (eyeball == 0))


def without_eye_turns(source: SourceModel) -> SourceModel:
    """Units such as eyeLookUpLeft leave the eyeballs alone: they turn by the gaze, and twice would be once too many."""
    if source.eyeball is None or not source.activation:
        return source
    looks = np.flatnonzero([name.startswith(EYE_LOOKS) for name in source.expression_names])
    basis = source.expression_basis.copy()
    basis[np.ix_(looks, np.flatnonzero(source.eyeball))] = 0
    return replace(source, expression_basis=basis)


def centred(
    source: SourceModel, pieces: Pieces, colours: np.ndarray, detector: LandmarkDetector, donor: FaceModel
) -> SourceModel:
    """Origin between the eyes: between the eyeballs where there are any, else where the detector sees the eyes.

    Args:
        colours: (V, 3) in [0, 1], to be seen with.
    Raises:
        ModelError: no face is seen.
    """
    verts = source.verts.astype(np.float64)
    middle = middle_x(verts)
    if (pieces.eyeball == 1).any() and (pieces.eyeball == 2).any():
        eyes = [sphere_centre(verts[pieces.eyeball == eye]) for eye in (1, 2)]
        return shifted(source, -np.array([middle, *np.mean(eyes, 0)[1:]]))
    front = verts[:, 2].max() - 40.0  # mm: the eyes lie behind the tip of the nose
    size = float(np.ptp(verts[:, 1]))
    # of a face, a head or a bust the face is near the top; look from there downwards
    for distance in (620.0, 900.0, 1500.0):
        for part in (0.65, 0.5, 0.8, 0.35, 0.9):
            guess = np.array([middle, verts[:, 1].min() + part * size, front])
            picture = photograph(Subject(verts - guess, colours), source.faces, distance=distance)
            found = detector.detect(picture.image)
            if not found:
                continue
            face, bary = surface_points(found[0].landmarks[list(EYE_CORNERS)], picture.rast)
            if (face < 0).any():
                continue
            corners = (verts[source.faces[face]] * bary[:, :, None]).sum(1)
            at = np.array([middle, *(corners.mean(0) - _corners_of(donor))[1:]])
            return shifted(source, -at)
    raise ModelError(
        f"{source.name}: no face is seen on renders of the mean face; expected y up and z out of the face, in mm"
    )


def shifted(source: SourceModel, by: np.ndarray) -> SourceModel:
    """The model with all of it moved by (3,) mm; joints go along."""
    joints = source.joints
    if joints is not None:
        joints = replace(joints, position=joints.position + by.astype(np.float32))
    return replace(source, verts=source.verts + by.astype(np.float32), joints=joints)


def opened_mouth(source: SourceModel, stage: Stage | None) -> np.ndarray | None:
    """(V, 3) the mean face with its mouth open, by jawOpen, the jaw joint, or the expression components that move the
    lips apart; None where there is no telling (yet)."""
    if source.activation and "jawOpen" in source.expression_names:
        return source.verts + JAW_OPEN * source.expression_basis[source.expression_names.index("jawOpen")]
    if source.joints is not None and "jaw" in source.joints.names:
        return _turned_jaw(source, source.joints)
    if stage is None or len(source.expression_basis) == 0:
        return None
    rims = [UPPER_LIP_TOP, LOWER_LIP_BOTTOM]
    corners = source.faces[stage.landmark_face[rims]]
    moves = (source.expression_basis[:, corners] * stage.landmark_bary[rims][:, :, None]).sum(2)  # (E, 2, 3)
    gap = moves[:, 0, 1] - moves[:, 1, 1]
    if source.activation:
        best = int(gap.argmax())
        return source.verts + min(1.0, LIP_GAP / max(gap[best], 1e-6)) * source.expression_basis[best]
    reach = min(GAUSSIAN_REACH, LIP_GAP / max(float(np.linalg.norm(gap)), 1e-6))
    step = reach * gap / max(float(np.linalg.norm(gap)), 1e-6)
    return source.verts + np.tensordot(step, source.expression_basis, 1)


def _turned_jaw(source: SourceModel, joints: Joints) -> np.ndarray:
    jaw = joints.names.index("jaw")
    at = joints.position[jaw]
    swung = (source.verts - at) @ turned(0, np.degrees(JAW_TURN)).T.astype(np.float32) + at
    share = joints.weight[:, [jaw]]
    return source.verts + share * (swung - source.verts)


def albedo(stage: Stage, donor: FaceModel) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) mean and (A, V, 3) basis: the original's, or the donor's on this surface."""
    source = stage.source
    if source.albedo_mean is not None and source.albedo_basis is not None:
        return source.albedo_mean, source.albedo_basis
    mean, basis = transferred_albedo(source.verts.astype(np.float64), stage.points, stage.pieces, donor)
    return (mean if source.albedo_mean is None else source.albedo_mean), basis


def _arrays(
    stage: Stage, uv: np.ndarray, uv_faces: np.ndarray, mean: np.ndarray, basis: np.ndarray, weight: np.ndarray,
    rows: np.ndarray, marching: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    source, count = stage.source, len(stage.landmark_face)
    arrays = {
        "format": np.int64(FORMAT),
        "name": np.str_(source.name),
        "version": np.str_(source.version),
        "license": np.str_(source.license),
        "provenance": np.str_(json.dumps(source.provenance)),
        "verts": source.verts.astype(np.float32),
        "identity_basis": _half(source.identity_basis, "identity_basis"),
        "expression_basis": _half(source.expression_basis, "expression_basis"),
        "expression_names": np.array(source.expression_names, dtype=np.str_),
        "expression_kind": np.str_("activation" if source.activation else "gaussian"),
        "albedo_mean": np.clip(mean, 0, 1).astype(np.float32),
        "albedo_basis": _half(basis, "albedo_basis"),
        "faces": source.faces.astype(np.int32),
        "uv": uv.astype(np.float32),
        "uv_faces": uv_faces.astype(np.int32),
        "symmetry": stage.symmetry.astype(np.int32),
        "vertex_label": weight.argmax(1).astype(np.uint8),
        "part_weight": np.round(255 * weight).astype(np.uint8),
        "eyeball": stage.pieces.eyeball.astype(np.uint8),
        "eyeball_weight": _eyeball_weight(source.verts, stage.pieces.eyeball),
        "landmark_faces": stage.landmark_face.astype(np.int32),
        "landmark_bary": stage.landmark_bary.astype(np.float32),
        "landmark_yaw": np.zeros(1, np.float32),
        "landmark_bias": np.zeros((1, count, 2), np.float32),
        "landmark_covariance": np.tile(np.eye(2, dtype=np.float32), (1, count, 1, 1)),
        "contour_rows": rows.astype(np.int32),
        "contour_landmarks": marching.astype(np.int32),
    }
    if source.decoder is not None:
        arrays |= {"format": np.int64(DECODED), **source.decoder.arrays()}
    joints = source.joints
    if joints is not None and len(joints.names):
        arrays |= {
            "joint_names": np.array(joints.names, dtype=np.str_),
            "joint_parent": joints.parent.astype(np.int32),
            "joint_position": joints.position.astype(np.float32),
            "joint_position_basis": joints.position_basis.astype(np.float32),
            "joint_weight": joints.weight.astype(np.float32),
        }
        if joints.pose_basis is not None:
            arrays["joint_pose_basis"] = _half(joints.pose_basis, "joint_pose_basis")
    return arrays


def _half(basis: np.ndarray, name: str) -> np.ndarray:
    """float16: 3 digits of a component, far below what a photo can tell."""
    peak = float(np.abs(basis).max(initial=0.0))
    if peak > 6e4:
        raise ModelError(f"{name} reaches {peak:.3g}; expected mm (or parts of white) per standard deviation")
    return basis.astype(np.float16)


def _eyeball_weight(verts: np.ndarray, eyeball: np.ndarray) -> np.ndarray:
    out = np.zeros(len(verts), np.float32)
    for eye in (1, 2):
        ball = verts[eyeball == eye]
        if len(ball):
            out[eyeball == eye] = centre_weights(ball, sphere_centre(ball))
    return out


def _groups(source: SourceModel, pieces: Pieces) -> np.ndarray:
    """(V,) number of the piece a vertex belongs to: eyes, the mouth's inside, other hints, skin."""
    hint = np.zeros(len(source.verts), int) if source.label_hint is None else source.label_hint
    return np.where(pieces.eyeball > 0, 20 + pieces.eyeball, hint)


def _landmarks(
    source: SourceModel, looks: Iterable[tuple[Subject, dict]], detector: LandmarkDetector, symmetry: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    try:
        return annotate_landmarks(source.verts.astype(np.float64), source.faces, looks, detector, symmetry)
    except ValueError as error:
        raise ModelError(f"{source.name}: {error}; is this a whole face, y up, z out of it, in mm?") from None


def _eye_offset(points: np.ndarray, donor: FaceModel) -> np.ndarray:
    """What moves the corners of the eyes to where the donor has them, up or down and in depth: one origin for all."""
    return np.array([0.0, *(_corners_of(donor) - points[list(EYE_CORNERS)].mean(0))[1:]])


def _corners_of(donor: FaceModel) -> np.ndarray:
    return donor.landmarks(donor.verts[None])[0, list(EYE_CORNERS)].mean(0).cpu().double().numpy()


def _front(verts: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(V,) in [0, 1], smooth: 1 on the face, more than that nowhere, 0 on the back of the head."""
    centre = points[[*RIGHT_EYE, *LEFT_EYE, *LIPS_OUTER]].mean(0) + [0, 0, -20]
    reach = np.linalg.norm((verts - centre) / [75, 95, 80], axis=1)
    return 1 / (1 + np.exp(np.clip((reach - 1.1) / 0.1, -40, 40)))

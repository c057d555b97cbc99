"""GLB (binary glTF 2.0) with the model's expressions as named morph targets, to be animated in Blender or three.js.

glTF asks for metres; the buffers stay in millimetres, like every other file written here, under a node that scales by
0.001. Morph targets are sparse accessors: only the vertices that an expression moves are stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..files.glb import (
    ARRAY_BUFFER,
    ELEMENT_ARRAY_BUFFER,
    FLOAT,
    UINT16,
    UINT32,
    Animation,
    Buffer,
    animated,
    packed,
)
from ..geometry.triangles import vertex_normals
from ..model.face_model import FaceModel
from ..scene.scene import Scene

# A full `eyeLook` activation turns the eyeball by this much: the comfortable range of the eye before the head follows.
LOOK_RADIANS = {"In": np.radians(30.0), "Out": np.radians(30.0), "Up": np.radians(25.0), "Down": np.radians(30.0)}


def look_gaze(name: str) -> torch.Tensor | None:
    """The gaze (1, 2, 2) in radians that an ARKit name such as `eyeLookInLeft` stands for; None for another name."""
    for side, eye in (("Right", 0), ("Left", 1)):
        for direction, angle in LOOK_RADIANS.items():
            if name != f"eyeLook{direction}{side}":
                continue
            gaze = torch.zeros(1, 2, 2)
            if direction in ("Up", "Down"):
                gaze[0, eye, 1] = angle if direction == "Up" else -angle
            else:  # inwards is towards +x for the right eye, towards -x for the left one
                gaze[0, eye, 0] = angle if (direction == "In") == (side == "Right") else -angle
            return gaze
    return None


def morph_targets(scene: Scene, space: str = "model") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fitted neutral, its expressions, and their weights: base + sum(weights * targets) is the fitted mesh.

    `eyeLook` targets of a model whose own units leave the eyeballs alone get their rotation, linearised as the chord
    (exact at 0 and 1). What the fitted gaze holds beyond the weights stays in the base's eyeballs.

    Returns:
        (V, 3) base in mm, (E, V, 3) displacements in mm, (E,) weights; float64.
    """
    model, value = scene.model, scene.parameters
    with torch.no_grad():
        targets = model.expressions(value.identity[0]).cpu().double().numpy().copy()
    ball = model.eyeball.cpu().numpy() > 0
    looks = {
        index: gaze
        for index, name in enumerate(model.expression_names)
        if (gaze := look_gaze(name)) is not None and ball.any() and np.abs(targets[index, ball]).max() < 1.0
    }
    if looks:
        gaze = torch.cat([torch.zeros(1, 2, 2), *looks.values()]).to(value.gaze)
        with torch.no_grad():
            identity = value.identity.expand(len(gaze), -1)
            turned = model.shape(identity, torch.zeros_like(value.expression).expand(len(gaze), -1), gaze)
        moves = (turned[1:, ball] - turned[:1, ball]).cpu().double().numpy()
        for index, move in zip(looks, moves, strict=True):
            targets[index, ball] += move
    weights = value.expression[0].detach().cpu().double().numpy()
    verts = scene.verts_in(space)
    if space == "camera":
        targets = targets @ scene.pose()[0].T
    return verts - np.tensordot(weights, targets, 1), targets, weights


def glb_bytes(scene: Scene, texture_png: bytes, space: str = "model") -> bytes:
    """One node, one mesh, one primitive, one material with the texture inside, all expressions as morph targets."""
    base, targets, weights = morph_targets(scene, space)
    normals = vertex_normals(scene.verts_in(space), scene.model.faces.cpu().numpy())
    return morph_glb(scene.model, base, normals, targets, scene.model.expression_names, weights, texture_png)


def morph_glb(
    model: FaceModel, base: np.ndarray, normals: np.ndarray, targets: np.ndarray, names: Sequence[str],
    weights: np.ndarray, texture_png: bytes, animation: Animation | None = None,
) -> bytes:  # fmt: skip
    """A model's mesh with morph targets as GLB.

    Args:
        base, normals: (V, 3) mm and unit.
        targets: (T, V, 3) mm; names, weights: (T,) their names and what is set when the file is opened.
        texture_png: the texture, row 0 at v = 1. animation: how node and weights move.
    """
    faces, uv_faces = model.faces.cpu().numpy(), model.uv_faces.cpu().numpy()
    uv = np.clip(model.uv.cpu().double().numpy(), 0, 1)

    # glTF has one index per corner: a vertex is repeated where the UV layout is cut
    pairs, index = np.unique(faces.reshape(-1) * len(uv) + uv_faces.reshape(-1), return_inverse=True)
    (vertex, corner), count = np.divmod(pairs, len(uv)), len(pairs)
    texcoord = np.stack([uv[corner, 0], 1 - uv[corner, 1]], -1)  # glTF's v points down
    index_type, index_code = (np.uint16, UINT16) if count < 65535 else (np.uint32, UINT32)

    buffer = Buffer()
    attributes = {
        "POSITION": buffer.accessor(base[vertex].astype(np.float32), "VEC3", FLOAT, ARRAY_BUFFER, bounds=True),
        "NORMAL": buffer.accessor(normals[vertex].astype(np.float32), "VEC3", FLOAT, ARRAY_BUFFER),
        "TEXCOORD_0": buffer.accessor(texcoord.astype(np.float32), "VEC2", FLOAT, ARRAY_BUFFER),
    }
    indices = buffer.accessor(index.reshape(-1).astype(index_type), "SCALAR", index_code, ELEMENT_ARRAY_BUFFER)
    morphs = [{"POSITION": buffer.sparse(target[vertex], index_type, index_code)} for target in targets]
    image = buffer.view(texture_png)

    primitive = {"attributes": attributes, "indices": indices, "material": 0, "mode": 4, "targets": morphs}
    mesh = {
        "name": "face",
        "primitives": [primitive],
        "weights": [float(w) for w in weights],
        "extras": {"targetNames": list(names)},
    }
    if not morphs:
        del mesh["weights"], primitive["targets"]
    document = {
        "asset": {"version": "2.0", "generator": "facefit", "copyright": f"face model {model.name}: {model.license}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "face", "mesh": 0, "scale": [0.001, 0.001, 0.001]}],
        "meshes": [mesh],
        "materials": [
            {
                "name": "face",
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 1.0,
                },
            }
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
        "images": [{"bufferView": image, "mimeType": "image/png", "name": "texture"}],
    }  # fmt: skip
    if animation is not None:
        document |= animated(document, animation, buffer, bool(morphs))
    document |= {
        "accessors": buffer.accessors, "bufferViews": buffer.views, "buffers": [{"byteLength": len(buffer.data)}],
    }  # fmt: skip
    return packed(document, bytes(buffer.data))

"""GLB (binary glTF 2.0) with the model's expressions as named morph targets, to be animated in Blender or three.js.

Metres, as glTF asks for, y up, facing +z. One node `head`, which a rig or an animation moves, with one mesh of a
primitive and a material for each of skin, eyes, teeth and tongue. Morph targets move positions and normals; they are
sparse accessors: only the vertices that an expression moves are stored.

Quantized (KHR_mesh_quantization), positions are whole numbers of some micrometres under a second node that scales
them; half the bytes.

With bones the mesh has a skin: a rig moves the node `Head`, and `RightEye` and `LeftEye` below it turn the eyeballs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..files.glb import (
    ARRAY_BUFFER,
    ELEMENT_ARRAY_BUFFER,
    FLOAT,
    INT8,
    INT16,
    UINT8,
    UINT16,
    UINT32,
    Animation,
    Buffer,
    animated,
    packed,
)
from ..files.picture_bytes import media_type
from ..geometry.triangles import moved_normals, vertex_tangents
from ..model.face_model import FaceModel
from ..model.pieces import PIECES, face_pieces
from .bones import Bones, head_bones
from .morph_targets import Morphs

MM_PER_METRE = 1000.0
ROUGHNESS = {"skin": 1.0, "eyes": 0.3, "teeth": 0.4, "tongue": 0.6}  # of the materials; the photo's gloss is in skin
NODE = "head"
_DETAILED = "skin"  # the piece that a normal map is of

_SMALLEST_MOVE = 2e-3  # mm; below it a vertex counts as not moved
_SMALLEST_TURN = 8e-3  # of a unit normal, half a degree; below it a normal counts as not turned


@dataclass(frozen=True)
class Moved:
    """One morph target of the whole mesh: rows that move and how far, in mm, and rows whose normals turn."""

    rows: np.ndarray
    move: np.ndarray
    turned: np.ndarray
    turn: np.ndarray

    def of(self, vertex: np.ndarray) -> Moved:
        """The same for (M,) numbers of vertices, each of which may be there several times."""
        return Moved(*_chosen(self.rows, self.move, vertex), *_chosen(self.turned, self.turn, vertex))


def _chosen(rows: np.ndarray, values: np.ndarray, vertex: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (N, 3) of the vertices `rows` (N,), increasing -> the places in `vertex` (M,) that name one of them, and
    the values there."""
    if not len(rows):
        return rows, values
    at = np.minimum(np.searchsorted(rows, vertex), len(rows) - 1)
    there = np.flatnonzero(rows[at] == vertex)
    return there, values[at[there]]


@dataclass(frozen=True)
class _Grid:
    """How positions become numbers of the file: metres, or whole numbers of `step` mm from `origin` on."""

    origin: np.ndarray
    step: float
    whole: bool

    @classmethod
    def metres(cls) -> _Grid:
        return cls(np.zeros(3), MM_PER_METRE, False)

    @classmethod
    def fine(cls, base: np.ndarray) -> _Grid:
        """The finest one on which 16 bits reach all of (V, 3) mm."""
        low, high = base.min(0), base.max(0)
        return cls((low + high) / 2, float(max((high - low).max(), 1e-3)) / 65534, True)

    def place(self, points: np.ndarray) -> np.ndarray:
        return self.move(points - self.origin)

    def move(self, way: np.ndarray) -> np.ndarray:
        moved = way / self.step
        return np.clip(np.rint(moved), -32767, 32767) if self.whole else moved

    def node(self) -> dict:
        """What takes the numbers to metres."""
        return {"translation": (self.origin / MM_PER_METRE).tolist(), "scale": [self.step / MM_PER_METRE] * 3}


def morph_glb(
    model: FaceModel, morphs: Morphs, texture: bytes, animation: Animation | None = None, *, quantize: bool = False,
    bones: bool = False, normals: bytes | None = None,
) -> bytes:  # fmt: skip
    """A model's mesh with morph targets as GLB; the weights are what is set when the file is opened.

    Args:
        texture: PNG or JPEG, row 0 at v = 1. animation: how node and weights move.
        quantize: whole numbers in place of floating ones. bones: a skin with a bone for the head and each eyeball.
        normals: PNG, a tangent-space normal map of the skin.
    Raises:
        ValueError: both. What reads a mesh and no skin would see whole numbers at a size of their own.
    """
    if quantize and bones:
        raise ValueError("a GLB has whole numbers or bones, not both")
    base, targets = morphs.base, morphs.targets
    buffer, grid = Buffer(), _Grid.fine(base) if quantize else _Grid.metres()
    faces = model.faces.cpu().numpy()
    skin = head_bones(model, base) if bones else None
    facing, moves = mesh_moves(base, faces, targets)
    used: list[str] = []
    primitives: list[dict] = []
    for number, name in enumerate(PIECES):
        chosen = face_pieces(model) == number
        if chosen.any():
            relief = normals is not None and name == _DETAILED
            made = _primitive(buffer, grid, model, chosen, base, facing, moves, skin, relief)
            primitives.append({"material": len(used), **made, "mode": 4})
            used.append(name)
    mesh = {
        "name": NODE, "primitives": primitives, "weights": [float(weight) for weight in morphs.weights],
        "extras": {"targetNames": list(morphs.names)},
    }  # fmt: skip
    if not len(targets):
        del mesh["weights"]
        for primitive in primitives:
            del primitive["targets"]
    image = buffer.view(texture)
    document: dict = {
        "asset": {"version": "2.0", "generator": "facefit", "copyright": f"face model {model.name}: {model.license}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": NODE, "mesh": 0}],
        "meshes": [mesh],
        "materials": [_material(name, normals is not None) for name in used],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
        "images": [{"bufferView": image, "mimeType": media_type(texture), "name": "texture"}],
    }  # fmt: skip
    if normals is not None:
        document["textures"].append({"source": 1, "sampler": 0})
        document["images"].append({"bufferView": buffer.view(normals), "mimeType": "image/png", "name": "normals"})
    if skin is not None:
        document |= _skinned(buffer, skin)
    if quantize:  # the numbers of the file to metres; the node above stays free for a rig or an animation
        document["nodes"] = [{"name": NODE, "children": [1]}, {"name": f"{NODE}_mesh", "mesh": 0, **grid.node()}]
        document |= {name: ["KHR_mesh_quantization"] for name in ("extensionsUsed", "extensionsRequired")}
    if animation is not None:
        document |= animated(document, animation, buffer, len(targets) > 0)
    document |= {
        "accessors": buffer.accessors, "bufferViews": buffer.views, "buffers": [{"byteLength": len(buffer.data)}],
    }  # fmt: skip
    return packed(document, bytes(buffer.data))


def _skinned(buffer: Buffer, skin: Bones) -> dict:
    """Nodes and skin; what a file with bones has otherwise. A skin overrides where its mesh's own node stands."""
    eyes, mesh = list(range(1, len(skin.names))), len(skin.names)
    head = {"name": skin.names[0]} | ({"children": eyes} if eyes else {})
    place = skin.position / MM_PER_METRE
    balls = [{"name": skin.names[eye], "translation": place[eye].tolist()} for eye in eyes]
    bind = np.tile(np.eye(4), (len(place), 1, 1))
    bind[:, 3, :3] = -place  # matrices lie column by column
    inverse = buffer.accessor(bind.reshape(-1, 16), FLOAT, None)
    return {
        "scenes": [{"nodes": [0, mesh]}],
        "nodes": [head, *balls, {"name": NODE, "mesh": 0, "skin": 0}],
        "skins": [{"name": NODE, "skeleton": 0, "joints": [0, *eyes], "inverseBindMatrices": inverse}],
    }


def _material(name: str, detailed: bool) -> dict:
    refined = {"normalTexture": {"index": 1}} if detailed and name == _DETAILED else {}
    return {
        "name": name,
        **refined,
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": ROUGHNESS[name],
        },
    }  # fmt: skip


def mesh_moves(base: np.ndarray, faces: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, list[Moved]]:
    """(V, 3) normals of the base, and what each target moves and turns."""
    far = np.abs(targets).max(2, initial=0) > _SMALLEST_MOVE
    targets = np.where(far[..., None], targets, 0.0)
    normals, turned = moved_normals(base, faces, targets)
    moves = []
    for target, (rows, turn) in zip(targets, turned, strict=True):
        moved = np.flatnonzero(target.any(1))
        turns = np.abs(turn).max(1, initial=0) > _SMALLEST_TURN
        moves.append(Moved(moved, target[moved], rows[turns], turn[turns]))
    return normals, moves


def _primitive(
    buffer: Buffer, grid: _Grid, model: FaceModel, chosen: np.ndarray, base: np.ndarray, normals: np.ndarray,
    moves: Sequence[Moved], skin: Bones | None, relief: bool,
) -> dict:  # fmt: skip
    """The triangles `chosen` (F,) bool with their own vertices: attributes, indices and targets; with tangents where
    they have a normal map."""
    uv = np.clip(model.uv.cpu().double().numpy(), 0, 1)
    # glTF has one index per corner: a vertex is repeated where the UV layout is cut
    pair = model.faces.cpu().numpy()[chosen].astype(np.int64) * len(uv) + model.uv_faces.cpu().numpy()[chosen]
    pairs, index = np.unique(pair.reshape(-1), return_inverse=True)
    (vertex, corner), count = np.divmod(pairs, len(uv)), len(pairs)
    texcoord = np.stack([uv[corner, 0], 1 - uv[corner, 1]], -1)  # glTF's v points down
    place, turn = grid.place(base[vertex]), normals[vertex]
    if grid.whole:
        attributes = {
            "POSITION": buffer.accessor(place, INT16, ARRAY_BUFFER, bounds=True),
            "NORMAL": buffer.accessor(np.rint(turn * 32767), INT16, ARRAY_BUFFER, normalized=True),
            "TEXCOORD_0": buffer.accessor(np.rint(texcoord * 65535), UINT16, ARRAY_BUFFER, normalized=True),
        }
    else:
        attributes = {
            "POSITION": buffer.accessor(place, FLOAT, ARRAY_BUFFER, bounds=True),
            "NORMAL": buffer.accessor(turn, FLOAT, ARRAY_BUFFER),
            "TEXCOORD_0": buffer.accessor(texcoord, FLOAT, ARRAY_BUFFER),
        }
    if relief:
        tangent = vertex_tangents(base[vertex], uv[corner], index.reshape(-1, 3), turn)
        attributes["TANGENT"] = buffer.accessor(tangent, FLOAT, ARRAY_BUFFER)
    if skin is not None:
        first = np.array([1, 0, 0, 0])  # of four bones a vertex the first one has it all
        attributes |= {
            "JOINTS_0": buffer.accessor(skin.vertex[vertex][:, None] * first, UINT8, ARRAY_BUFFER),
            "WEIGHTS_0": buffer.accessor(
                np.tile(255 * first, (count, 1)), UINT8, ARRAY_BUFFER, normalized=True
            ),
        }  # fmt: skip
    kind = UINT16 if count < 65535 else UINT32
    return {
        "attributes": attributes,
        "indices": buffer.accessor(index.reshape(-1), kind, ELEMENT_ARRAY_BUFFER),
        "targets": list(_targets(buffer, grid, vertex, moves)),
    }


def _targets(buffer: Buffer, grid: _Grid, vertex: np.ndarray, moves: Sequence[Moved]) -> Iterator[dict]:
    count = len(vertex)
    still: dict[str, int] = {}  # accessors of zeros, common to all targets that leave this primitive alone
    for whole in moves:
        own = whole.of(vertex)
        turn = np.rint(own.turn * 127) if grid.whole else own.turn
        kinds = {
            "POSITION": (own.rows, grid.move(own.move), INT16 if grid.whole else FLOAT, False),
            "NORMAL": (own.turned, turn, INT8 if grid.whole else FLOAT, grid.whole),
        }
        target = {}
        for name, (rows, values, component, normalized) in kinds.items():
            if len(rows) or name not in still:
                place = name == "POSITION"
                made = buffer.sparse(rows, values, count, component, bounds=place, normalized=normalized)
                if not len(rows):
                    still[name] = made
            target[name] = made if len(rows) else still[name]
        yield target

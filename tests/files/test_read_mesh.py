"""Meshes that others wrote: what is read of each format, and what a damaged or hostile file leads to."""

import json
import struct

import numpy as np
import pytest

from facefit.errors import InputError
from facefit.files.read_mesh import read_mesh

VERTS = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0.5], [-1, 0.5, 0]])
PENTAGON = [0, 1, 2, 3, 4]
FAN = [[0, 1, 2], [0, 2, 3], [0, 3, 4]]


def corners(mesh) -> set:
    """The triangles by where their corners lie, whatever the numbers of the vertices."""
    return {tuple(sorted(map(tuple, mesh.verts[face].round(5).tolist()))) for face in mesh.faces}


def glb(document: dict, body: bytes = b"") -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    if body:
        chunks += struct.pack("<II", len(body), 0x004E4942) + body
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


def document(**changes) -> tuple[dict, bytes]:
    """The fan of triangles, in metres."""
    verts, faces = (VERTS / 1000).astype("<f4").tobytes(), np.array(FAN, "<u2").tobytes() + b"\0\0"
    return {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "buffers": [{"byteLength": len(verts + faces)}],
        "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": len(verts)},
                        {"buffer": 0, "byteOffset": len(verts), "byteLength": len(faces)}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 5, "type": "VEC3"},
                      {"bufferView": 1, "componentType": 5123, "count": 9, "type": "SCALAR"}],
        **changes,
    }, verts + faces  # fmt: skip


def ply(kind: str) -> bytes:
    head = f"ply\nformat {kind} 1.0\ncomment TextureFile face.png\nelement vertex 5\nproperty float x\n"
    head += "property float y\nproperty float z\nproperty uchar red\n"
    head += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    if kind == "ascii":
        return (head + "\n".join(f"{x} {y} {z} 9" for x, y, z in VERTS) + "\n5 0 1 2 3 4\n").encode()
    order = "<" if "little" in kind else ">"
    table = np.zeros(5, [("p", order + "f4", 3), ("r", "u1")])
    table["p"] = VERTS
    return head.encode() + table.tobytes() + b"\5" + np.array(PENTAGON, order + "i4").tobytes()


def stl() -> bytes:
    table = np.zeros(3, [("normal", "<f4", 3), ("corner", "<f4", (3, 3)), ("rest", "<u2")])
    table["corner"] = VERTS[FAN]
    return bytes(80) + struct.pack("<I", 3) + table.tobytes()


def off() -> bytes:
    rows = [*("{} {} {}".format(*v) for v in VERTS), *("3 {} {} {}".format(*face) for face in FAN)]
    return "\n".join(["OFF", "5 3 0", *rows]).encode()


CONTENT = {
    "a.obj": "\n".join([*("v {} {} {}".format(*v) for v in VERTS), "f 1 2 3 4 -1"]).encode(),
    "ascii.ply": ply("ascii"),
    "little.ply": ply("binary_little_endian"),
    "big.ply": ply("binary_big_endian"),
    "a.stl": stl(),
    "a.off": off(),
    "a.glb": glb(*document()),
}


@pytest.mark.parametrize("name", CONTENT)
def test_every_format_is_the_same_surface(tmp_path, name):
    (tmp_path / name).write_bytes(CONTENT[name])
    mesh = read_mesh(tmp_path / name)
    np.savez(tmp_path / "same.npz", verts=VERTS, faces=FAN)
    assert corners(mesh) == corners(read_mesh(tmp_path / "same.npz")) and len(mesh.verts) == 5
    if not name.endswith("stl"):
        np.testing.assert_allclose(mesh.verts, VERTS, atol=1e-5)


def test_nodes_move_their_meshes(tmp_path):
    nodes = [{"mesh": 0, "scale": [0.001] * 3}, {"mesh": 0, "translation": [1, 0, 0]}]
    (tmp_path / "two.glb").write_bytes(glb(*document(nodes=nodes, scenes=[{"nodes": [0, 1]}])))
    mesh = read_mesh(tmp_path / "two.glb")
    assert mesh.verts.shape == (10, 3) and len(mesh.faces) == 6
    across = [*VERTS[:, 0] / 1000, *VERTS[:, 0] + 1000]
    np.testing.assert_allclose(np.sort(mesh.verts[:, 0]), np.sort(across), atol=1e-4)


@pytest.mark.parametrize("name", [name for name in CONTENT if not name.endswith("obj")])
def test_cut_files_are_one_line(tmp_path, name):
    for share in (0.3, 0.6, 0.9):
        data = CONTENT[name][: int(share * len(CONTENT[name]))]
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name) as error:
            read_mesh(tmp_path / name)
        assert "\n" not in str(error.value)


def promising(name: str) -> bytes:
    """Headers that promise far more than the file holds."""
    huge = 4_000_000_000
    if name == "a.ply":
        return ply("binary_little_endian").replace(b"element vertex 5", b"element vertex %d" % huge)
    if name == "a.stl":
        return bytes(80) + struct.pack("<I", huge) + stl()[84:]
    if name == "a.off":
        return CONTENT["a.off"].replace(b"5 3 0", b"%d %d 0" % (huge, huge))
    accessors = [{"componentType": 5126, "count": huge, "type": "VEC3"}, document()[0]["accessors"][1]]
    return glb(*document(accessors=accessors))


@pytest.mark.parametrize("name", ["a.ply", "a.stl", "a.off", "a.glb"])
def test_promises_of_a_header_take_no_memory(tmp_path, name):
    import tracemalloc

    import trimesh  # noqa: F401  its own import is not what is measured

    (tmp_path / name).write_bytes(promising(name))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=f"{name}: (not a readable|holds no triangle)"):
            read_mesh(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_one_mesh_shown_a_million_times_is_refused(tmp_path):
    accessors = document()[0]["accessors"]
    accessors[1]["count"] = 9
    verts = [{"componentType": 5126, "count": 1_000_000, "type": "VEC3"}, accessors[1]]
    nodes = [{"mesh": 0} for _ in range(100)]
    (tmp_path / "a.glb").write_bytes(glb(*document(accessors=verts, nodes=nodes, scenes=[{"nodes": list(range(100))}])))
    with pytest.raises(InputError, match="unpacks to more than 512 MiB"):
        read_mesh(tmp_path / "a.glb")


def test_nothing_beside_the_file_is_opened(tmp_path, monkeypatch):
    (tmp_path / "face.png").write_bytes(b"never read")
    (tmp_path / "ascii.ply").write_bytes(CONTENT["ascii.ply"])
    (tmp_path / "a.glb").write_bytes(glb(*document(buffers=[{"byteLength": 80, "uri": "face.png"}])))
    with pytest.raises(InputError, match="lie in other files"):
        read_mesh(tmp_path / "a.glb")
    opened = []
    monkeypatch.setattr("PIL.Image.open", lambda *_, **__: opened.append(1))
    assert len(read_mesh(tmp_path / "ascii.ply").verts) == 5 and not opened


def test_a_shape_that_morph_targets_move_is_not_taken_for_the_base(tmp_path):
    meshes = document()[0]["meshes"]
    meshes[0]["weights"] = [0.0, 0.4]
    (tmp_path / "a.glb").write_bytes(glb(*document(meshes=meshes)))
    with pytest.raises(InputError, match="morph targets; give the mesh as OBJ or PLY"):
        read_mesh(tmp_path / "a.glb")


def test_points_alone_are_no_mesh(tmp_path):
    head = "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    (tmp_path / "cloud.ply").write_text(head + "0 0 0\n1 1 1\n")
    with pytest.raises(InputError, match="cloud.ply"):
        read_mesh(tmp_path / "cloud.ply")


def test_ply_and_obj_of_every_kind(tmp_path):
    verts = np.array([[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0.5]])
    expected = [[0, 1, 2], [0, 2, 3]]
    lines = ("# c", "v 0 0 0", "v 2 0 0", "v 2 1 0 0.5 0.5 0.5", "v 0 1 0.5", "vt 0 0", "f 1/1 2/1 3/1 -1/1")
    (tmp_path / "quad.obj").write_text("\n".join(lines))
    head = "ply\nformat {} 1.0\ncomment x\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    head += "property uchar red\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    text = head.format("ascii") + "\n".join(f"{x} {y} {z} 9" for x, y, z in verts) + "\n4 0 1 2 3\n"
    (tmp_path / "ascii.ply").write_text(text)
    for name, order in (("binary_little_endian", "<"), ("binary_big_endian", ">")):
        table = np.zeros(4, [("p", order + "f4", 3), ("r", "u1")])
        table["p"] = verts
        face = np.uint8(4).tobytes() + np.array([0, 1, 2, 3], order + "i4").tobytes()
        (tmp_path / f"{name}.ply").write_bytes(head.format(name).encode() + table.tobytes() + face)
    for path in tmp_path.iterdir():
        mesh = read_mesh(path)
        same = sorted(np.roll(face, -int(face.argmin())).tolist() for face in mesh.faces)
        assert np.allclose(mesh.verts, verts, atol=1e-6) and same == expected, path.name

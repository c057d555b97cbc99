"""Meshes as bytes, read back line by line and byte by byte."""

import numpy as np

from facefit.files.mesh_bytes import mtl_bytes, obj_bytes, plain_obj, ply_bytes
from facefit.output.write import vertex_colours

VERTS = np.array([[0, 0, 0], [10, 0, 0], [0, 20, 0], [0, 0, 30]], float)
FACES = np.array([[0, 1, 2], [0, 3, 1]])


def rows(text: bytes, key: str) -> list[list[str]]:
    return [line.split()[1:] for line in text.decode().splitlines() if line.startswith(f"{key} ")]


def test_texture_coordinates_of_an_obj_stay_within_the_picture():
    """Rounding in a layout leaves coordinates a hair outside, where a program that repeats the texture shows its other
    end."""
    uv = np.array([[-1e-4, 0.25], [1.02, 1.0], [0.5, -0.01], [0.75, 1.5]])
    groups = [("skin", np.array([1])), ("eyes", np.array([0]))]
    written = obj_bytes(
        VERTS, FACES, uv, FACES[:, ::-1], name="head", groups=groups, library="a.mtl", comment="one\ntwo"
    )
    assert rows(written, "vt") == [
        ["0.000000", "0.250000"], ["1.000000", "1.000000"], ["0.500000", "0.000000"], ["0.750000", "1.000000"],
    ]  # fmt: skip
    assert rows(written, "f") == [["1/2/1", "4/4/4", "2/1/2"], ["1/3/1", "2/2/2", "3/1/3"]]
    assert written.startswith(b"# one\n# two\nmtllib a.mtl\no head\n")
    assert rows(written, "g") == rows(written, "usemtl") == [["skin"], ["eyes"]]
    assert rows(mtl_bytes(("skin", "eyes"), "a b.png"), "newmtl") == [["skin"], ["eyes"]]


def test_a_plain_obj_counts_from_one():
    assert plain_obj(VERTS, FACES).decode().splitlines()[-3:] == ["v 0.00000 0.00000 30.00000", "f 1 2 3", "f 1 4 2"]


def test_a_ply_holds_each_vertex_with_its_own_colour_red_first():
    colours = np.array([[255, 0, 0], [0, 128, 0], [0, 0, 64], [1, 2, 3]], np.uint8)
    written = ply_bytes(VERTS, FACES, colours, "näh")
    head, _, body = written.partition(b"end_header\n")
    names = [line.split()[-1] for line in head.decode().splitlines() if line.startswith("property")]
    assert names == ["x", "y", "z", "nx", "ny", "nz", "red", "green", "blue", "vertex_indices"]
    vertex = np.frombuffer(body, [("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)], len(VERTS))
    np.testing.assert_array_equal(vertex["rgb"], colours)
    np.testing.assert_array_equal(vertex["xyz"], VERTS)
    np.testing.assert_allclose(vertex["normal"][2:], [[0, 0, 1], [0, 1, 0]])
    face = np.frombuffer(body, [("count", "u1"), ("index", "<i4", 3)], offset=vertex.nbytes)
    assert (face["count"] == 3).all() and (face["index"] == FACES).all()


def test_vertex_colours_are_the_texels_under_the_vertices():
    """v up, rows down; borders belong to the last texel; vertices and texture coordinates have indices of their own."""
    texture = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    uv = np.array([[0.0, 0.0], [1.0, 0.0], [0.3, 0.6], [1.0, 1.0]])
    uv_faces = np.array([[2, 0, 1], [2, 3, 0]])
    colours = vertex_colours(texture, np.array([[0, 1, 2], [0, 3, 1]]), uv, uv_faces, 5)
    expected = [texture[1, 1], texture[3, 0], texture[3, 3], texture[0, 3], texture[3, 0]]  # the last is in no triangle
    np.testing.assert_array_equal(colours, expected)

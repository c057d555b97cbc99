"""Names of results: no two photos share a file."""

import itertools

import pytest

from facefit.batch.names import beside, mesh_names


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["a.jpg", "b.png"], ["a.obj", "b.obj"]),
        (["a.jpg", "a.png"], ["a_jpg.obj", "a_png.obj"]),
        (["A.jpg", "a.jpg"], ["A_jpg.obj", "a_jpg_.obj"]),
        (["a.jpg", "a.png", "a_jpg.png"], ["a_jpg.obj", "a_png.obj", "a_jpg_png.obj"]),
        (["a.jpg", "a_1.jpg"], ["a_jpg.obj", "a_1_jpg.obj"]),
        (["a.jpg", "a_texture.jpg"], ["a_jpg.obj", "a_texture_jpg.obj"]),
        (["a.jpg", "a_thumbnail.jpg"], ["a_jpg.obj", "a_thumbnail_jpg.obj"]),
        (["a.b.jpg", "a.c.jpg"], ["a.b.obj", "a.c.obj"]),
        (["x/a.jpg", "y/a.jpg"], ["x/a.obj", "y/a.obj"]),
        (["X/a.jpg", "x/a.jpg"], ["X/a_jpg.obj", "x/a_jpg_.obj"]),
        (["caf\u00e9.jpg", "cafe\u0301.jpg"], ["caf\u00e9_jpg.obj", "cafe\u0301_jpg_.obj"]),
        (["a\nb.jpg", "a_b.jpg", "\udcff.jpg"], ["a_b_jpg.obj", "a_b_jpg_.obj", "\udcff_jpg.obj"]),
        (["/data/a.jpg", "C:/data/a.jpg"], ["data/a.obj", "C_/data/a.obj"]),
    ],
)
def test_names_never_collide(keys, expected):
    assert [path.as_posix() for path in mesh_names(keys, ".obj").values()] == expected


def test_all_files_of_a_nasty_folder_differ():
    stems = ["a", "A", "a_1", "a_1_texture", "a_jpg", "a_png", "a_overlay", "a_thumbnail", "a_1_jpg", "a_jpg_"]
    keys = [f"{stem}.{suffix}" for stem, suffix in itertools.product(stems, ("jpg", "png", "JPG"))]
    names = mesh_names(keys, ".obj")
    files: list[str] = []
    for mesh in names.values():
        faces = [mesh, *(mesh.with_name(f"{mesh.stem}_{number}.obj") for number in (1, 2))]
        for face in faces:
            files += [str(face), str(face.with_suffix(".json"))]
            files += [str(beside(face, word, ".png")) for word in ("texture", "overlay", "labels")]
    assert len({name.lower() for name in files}) == len(files)


def test_very_long_names_are_cut_and_stay_apart():
    keys = ["x" * 250 + ".jpg", "x" * 249 + "y.jpg", "\u00e9" * 120 + ".jpg"]
    names = list(mesh_names(keys, ".obj").values())
    assert len(set(names)) == 3 and all(len(path.name.encode()) < 200 for path in names)

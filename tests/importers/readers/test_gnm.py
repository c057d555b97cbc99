"""GNM Head: a file with the fields of its schema, compared with its own formula."""

import numpy as np
import pytest
from helpers.original_files import check_refused, deformed, head, outward_volume, posed, rotation

from facefit.errors import ModelError
from facefit.importers.readers.gnm import read_gnm

GROUPS = (
    "skin", "left_eye", "right_eye", "upper_teeth_and_gums", "lower_teeth_and_gums", "tongue", "eye_exteriors",
)  # fmt: skip


def gnm_arrays(identity: int = 6, expression: int = 5, seed: int = 0) -> dict:
    """All fields of gnm_data_schema.py, in metres, with two of the shell's vertices as a tooth and a tongue."""
    rng = np.random.default_rng(seed)
    shape = head()
    verts, count = shape.verts / 1000 + (0.01, 0.1, -0.02), len(shape.verts)
    groups = np.zeros((len(GROUPS), count), np.float32)
    groups[GROUPS.index("right_eye"), shape.eye == 1] = 1
    groups[GROUPS.index("left_eye"), shape.eye == 2] = 1
    groups[GROUPS.index("eye_exteriors"), np.flatnonzero(shape.eye)[::2]] = 1
    groups[GROUPS.index("upper_teeth_and_gums"), 3] = 1
    groups[GROUPS.index("tongue"), 40:60] = 1
    groups[0] = groups[1:6].sum(0) == 0
    weight = rng.random((4, count)).astype(np.float32)
    weight[2:] = 0
    weight[:, shape.eye == 2] = [[0], [0], [1], [0]]
    weight[:, shape.eye == 1] = [[0], [0], [0], [1]]
    corners = rng.random((len(shape.faces), 3, 2)).astype(np.float32)
    return {
        "version": np.array("3.0"),
        "variant": np.array("head"),
        "template_vertex_positions": verts.astype(np.float32),
        "template_joint_positions": rng.normal(0, 0.05, (4, 3)).astype(np.float32),
        "vertex_identity_basis": rng.normal(0, 0.002, (identity, count, 3)).astype(np.float32),
        "joint_identity_basis": rng.normal(0, 0.001, (identity, 4, 3)).astype(np.float32),
        "expression_basis": rng.normal(0, 0.001, (expression, count, 3)).astype(np.float32),
        "identity_names": np.array([f"head_{k:03d}" for k in range(identity)]),
        "joint_names": np.array(["neck", "head", "left_eye", "right_eye"]),
        "expression_names": np.array([f"lower_face_region_{k:03d}" for k in range(expression)]),
        "joint_parent_indices": np.array([0, 0, 1, 1]),
        "skinning_weights": weight / weight.sum(0),
        "quads": np.zeros((1, 4), np.int32),
        "triangles": shape.faces.astype(np.int32),
        "quad_uvs": np.zeros((1, 4, 2), np.float32),
        "triangle_uvs": corners,
        "mesh_component_names": np.array(GROUPS[:6]),
        "mirror_indices": np.arange(count),
        "joint_regressor": np.zeros((4, count), np.float32),
        "pose_correctives_regressor": rng.normal(0, 0.001, (36, 3 * count)).astype(np.float32),
        "bone_aligned_template_joint_orientations": np.tile(np.eye(3), (4, 1, 1)),
        "vertex_groups": groups,
        "vertex_group_names": np.array(GROUPS),
    }


def gnm_formula(data: dict, identity: np.ndarray, expression: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """(V, 3) metres by gnm_common.py: bind pose, pose correctives, linear blend skinning."""
    verts = (
        data["template_vertex_positions"]
        + np.einsum("i,ijk->jk", identity, data["vertex_identity_basis"])
        + np.einsum("i,ijk->jk", expression, data["expression_basis"])
    )
    features = (rotations - np.eye(3)).reshape(-1)
    verts = verts + np.einsum("f,fv->v", features, data["pose_correctives_regressor"]).reshape(-1, 3)
    place = data["template_joint_positions"] + np.einsum("i,ijk->jk", identity, data["joint_identity_basis"])
    world = []
    for k, parent in enumerate(data["joint_parent_indices"]):
        local = np.eye(4)
        local[:3, :3] = rotations[k]
        local[:3, 3] = place[k] - (place[parent] if k else 0)
        world.append(local if k == 0 else world[parent] @ local)
    world = np.stack(world)
    shift = world[:, :3, 3] - np.einsum("jmn,jn->jm", world[:, :3, :3], place)
    turn = np.einsum("jv,jmn->vmn", data["skinning_weights"], world[:, :3, :3])
    return np.einsum("vmn,vn->vm", turn, verts) + np.einsum("jv,jm->vm", data["skinning_weights"], shift)


@pytest.fixture
def path(tmp_path):
    np.savez(tmp_path / "gnm_head.npz", **gnm_arrays())
    return tmp_path / "gnm_head.npz"


def test_coefficients_give_gnms_vertices_in_mm(path):
    data, source = gnm_arrays(), read_gnm(path)
    rng = np.random.default_rng(1)
    identity, expression = rng.normal(size=6), rng.normal(size=5)
    rest = np.tile(np.eye(3), (4, 1, 1))
    expected = 1000 * gnm_formula(data, identity, expression, rest)
    np.testing.assert_allclose(deformed(source, identity, expression), expected, atol=2e-4)


def test_joints_turn_as_gnms(path):
    data, source = gnm_arrays(), read_gnm(path)
    assert source.joints.names == ("root", "neck", "left_eye", "right_eye")
    assert source.joints.parent.tolist() == [-1, 0, 1, 1]
    rng = np.random.default_rng(2)
    identity, expression = rng.normal(size=6), rng.normal(size=5)
    turns = np.stack([np.eye(3), *(rotation(v) for v in rng.normal(0, 0.3, (3, 3)))])  # the pose turns the first joint
    expected = 1000 * gnm_formula(data, identity, expression, turns)
    np.testing.assert_allclose(posed(source, identity, expression, turns), expected, atol=5e-4)


def test_what_the_file_names_is_kept(path):
    source, shape = read_gnm(path), head()
    assert (source.name, source.version, source.license, source.activation) == (
        "GNM Head", "3.0", "Apache-2.0", False,
    )  # fmt: skip
    assert source.expression_names[1] == "lower_face_region_001"
    np.testing.assert_array_equal(source.eyeball, shape.eye)
    assert source.label_hint[3] == source.label_hint[45] == 9
    np.testing.assert_array_equal(source.label_hint[shape.eye == 2], 4)
    assert outward_volume(source) > 0
    assert source.provenance["sha256"] and source.albedo_mean is None


def test_each_region_has_its_own_part_of_the_picture(path):
    source, data = read_gnm(path), gnm_arrays()
    assert source.uv.min() >= 0 and source.uv.max() <= 1
    skin = data["vertex_groups"][0][source.faces].min(1) > 0.5
    other = data["vertex_groups"][0][source.faces].max(1) < 0.5
    corners = source.uv[source.uv_faces]
    assert corners[skin][..., 0].max() < 0.75 and corners[skin][..., 1].min() > 0.25
    assert other.sum() > 100 and not ((corners[other][..., 0] < 0.75) & (corners[other][..., 1] > 0.25)).any()
    # within its cell the skin's map is GNM's own, shrunk
    np.testing.assert_allclose((corners[skin] - (0.004, 0.254)) / 0.742, data["triangle_uvs"][skin], atol=1e-5)


def test_a_file_that_winds_clockwise_is_turned_with_its_texture(tmp_path):
    data = gnm_arrays()
    data["triangles"], data["triangle_uvs"] = data["triangles"][:, ::-1], data["triangle_uvs"][:, ::-1]
    np.savez(tmp_path / "turned.npz", **data)
    np.savez(tmp_path / "gnm_head.npz", **gnm_arrays())
    turned, straight = read_gnm(tmp_path / "turned.npz"), read_gnm(tmp_path / "gnm_head.npz")
    np.testing.assert_array_equal(turned.faces, straight.faces)
    np.testing.assert_allclose(turned.uv[turned.uv_faces], straight.uv[straight.uv_faces])


def test_bad_files(path, tmp_path):
    check_refused(read_gnm, tmp_path, path.read_bytes(), ".npz")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"version": np.array("4.0")}, "version '4.0'.*accepted: version 3.x"),
        ({"variant": np.array("hand")}, "variant 'hand'"),
        ({"triangles": np.array([[0, 1, 100000]])}, "100000"),
        ({"vertex_identity_basis": np.zeros((3, 4, 3), np.float32)}, "vertex_identity_basis has shape"),
        ({"skinning_weights": np.array([["a"]])}, "skinning_weights is of type"),
        ({"joint_names": np.array(["neck"])}, "joint_parent_indices has shape"),
        ({"expression_basis": np.array([{}], object)}, "expression_basis holds pickled Python objects"),
        ({"triangle_uvs": None}, ""),
        ({"tongue": None, "vertex_groups": None}, "lacks vertex_groups"),
    ],
)
def test_a_field_that_does_not_fit_is_named(tmp_path, change, message):
    data = {name: value for name, value in {**gnm_arrays(), **change}.items() if value is not None}
    np.savez(tmp_path / "gnm_head.npz", **data)
    if not message:
        assert read_gnm(tmp_path / "gnm_head.npz").uv is None
        return
    with pytest.raises(ModelError, match=message):
        read_gnm(tmp_path / "gnm_head.npz")

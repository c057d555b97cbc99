"""Where the mesh ends: on the border of its own picture; in the crease under its jaw; nowhere where nothing runs so."""

from dataclasses import replace

import pytest
import torch
from helpers.rendered_face import person, photograph, together

from facefit.anatomy.parts import LABEL
from facefit.geometry.camera import project
from facefit.observe.outline import face_outline
from facefit.render import load_renderer
from facefit.scene.scene import Scene
from facefit.scene.silhouette import NECK, outline_points, outline_trust, silhouette_edges

SIDE = 160


def scene_of(model, parameters, camera) -> Scene:
    return Scene(model, parameters, camera, SIDE, load_renderer("cpu"))


@pytest.fixture(scope="module")
def turned(default_model):
    """Two people with the outlines that their own pictures show, everything but the mesh being background."""
    truth = together(person(default_model, yaw=40, seed=1), person(default_model, yaw=-25, seed=2))
    photo = photograph(default_model, truth, SIDE).observation
    scene = scene_of(default_model, truth, photo.camera)
    inside = torch.ones(SIDE, SIDE, dtype=torch.bool).numpy()
    labels = torch.where(scene.covered(), LABEL["skin"], LABEL["background"]).to(torch.uint8).numpy()
    outline = torch.stack([torch.from_numpy(face_outline(label, inside)) for label in labels])
    return truth, photo.camera, outline


def across(scene, outline):
    mesh = outline_points(scene, outline)
    pixels = project(mesh.on(scene.surface()), scene.camera)
    return mesh, ((pixels - outline[..., :2]) * outline[..., 2:4]).sum(-1)


def test_the_silhouette_lies_on_the_border_of_the_mesh_s_own_picture(default_model, turned):
    truth, camera, outline = turned
    mesh, distance = across(scene_of(default_model, truth, camera), outline)
    assert torch.allclose(mesh.bary.sum(-1), torch.ones(1), atol=1e-5)
    scene = scene_of(default_model, truth, camera)
    facing = (mesh.on(scene.normals()) * mesh.on(scene.surface())).sum(-1) / scene.surface().norm(dim=-1).mean()
    against_background = (mesh.found > 0) & (outline[..., 4] > 0)
    assert facing[against_background].abs().max() < 0.02  # it is seen from the side
    for face, side in ((0, 1), (1, -1)):  # the far cheek, where no ear or neck is in the way
        middle = outline[face, outline[face, :, 4] > 0, :2].mean(0)
        far = (side * outline[face, :, 2] > 0.8) & ((outline[face, :, 1] - middle[1]).abs() < 15)
        far &= outline[face, :, 4] > 0
        assert far.sum() >= 4 and (mesh.found[face, far] == 1).all()
        assert distance[face, far].abs().max() < 1 and distance[face, far].mean().abs() < 0.4


def test_a_wider_outline_is_found_from_within_and_one_that_is_far_is_not(default_model, turned):
    truth, camera, outline = turned
    scene = scene_of(default_model, truth, camera)
    known = outline_points(scene, outline).found > 0
    for pixels, share in ((4.0, 0.9), (-4.0, 0.9), (30.0, 0.2)):
        moved = outline.clone()
        moved[..., :2] += pixels * outline[..., 2:4]
        mesh, distance = across(scene, moved)
        found = known & (mesh.found > 0)
        assert (found.sum() > 0.8 * known.sum()) == (share > 0.5)
        if share > 0.5:
            assert distance[found].median() == pytest.approx(-pixels, abs=0.5)
    turned_round = outline.clone()
    turned_round[..., 2:4] *= -1
    assert outline_points(scene, turned_round).found.sum() < 0.2 * known.sum()


def test_the_jaw_ends_where_it_faces_the_camera_least(default_model):
    truth = person(default_model, seed=3)
    photo = photograph(default_model, truth, SIDE).observation
    scene = scene_of(default_model, truth, photo.camera)
    facing = -(scene.normals() * scene.surface()).sum(-1) / scene.surface().norm(dim=-1)
    picture = scene.interpolate(facing[..., None])[0, ..., 0]
    column = int(photo.landmarks[0, 152, 0])
    chin = int(photo.landmarks[0, 152, 1])
    crease = chin - 8 + int(picture[chin - 8 : chin + 12, column].argmin()) + 0.5
    outline = torch.zeros(1, 3, 6)
    for row, offset in enumerate((-3.0, 0.0, 4.0)):
        outline[0, row] = torch.tensor([column + 0.5, crease + offset, 0.0, 1.0, 0.0, 1.0])
    mesh, distance = across(scene, outline)
    assert (mesh.found == 1).all()
    assert distance[0].tolist() == pytest.approx([3.0, 0.0, -4.0], abs=1.2)


def test_faces_do_not_know_of_each_other(default_model, turned):
    truth, camera, outline = turned
    both = outline_points(scene_of(default_model, truth, camera), outline)
    alone = outline_points(scene_of(default_model, truth[1], camera[[1]]), outline[1:])
    assert torch.equal(both[torch.tensor([1])].found, alone.found)
    points = [mesh.on(scene_of(default_model, truth[1], camera[[1]]).surface()) for mesh in
              (both[torch.tensor([1])], alone)]  # fmt: skip
    assert torch.allclose(*points, atol=1e-3)
    unused = outline_points(scene_of(default_model, truth, camera), torch.zeros(2, 1, 6))
    assert (unused.found == 0).all() and torch.isfinite(unused.bary).all()


def test_ears_and_neck_have_no_silhouette(default_model):
    edges = silhouette_edges(default_model).unique()
    verts = default_model.verts[edges]
    sides = default_model.landmarks(default_model.verts[None])[0, [234, 454, 152]]
    assert verts[:, 1].min() > sides[2, 1] - 20  # of the chin: not far below it
    behind = (verts[:, 2] < sides[:2, 2].mean()) & ((verts[:, 1] - sides[:2, 1].mean()).abs() < 15)
    assert (verts[behind, 0].abs() < sides[:2, 0].abs().mean() - 1.9).all()
    bare = replace(default_model, vertex_label=torch.zeros_like(default_model.vertex_label))
    assert len(silhouette_edges(bare)) > 0  # a model without parts still has a surface


def test_a_point_counts_by_what_lies_beyond():
    kind = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    outline = torch.cat([torch.zeros(3, 4), kind], 1)[None]
    torch.testing.assert_close(outline_trust(outline), torch.tensor([[1.0, NECK, 0.0]]))
    assert 0 < NECK < 1

"""The points that stand for the parts: on the right part, moved with it, seen when nothing hides them."""

import pytest
import torch

from facefit.anatomy.landmarks import LEFT_LOWER_LID, LEFT_UPPER_LID
from facefit.anatomy.parts import LABEL
from facefit.geometry.camera import Camera, project, to_clip_space
from facefit.render import load_renderer
from facefit.scene.part_points import (
    BEYOND,
    DEPTH_TOLERANCE,
    part_points,
    rasterized_depth,
    thin_evenly,
    visible_points,
)

SIZE = 64
CAMERA = Camera(torch.full((1, 2), 4.5 * SIZE), torch.full((1, 2), SIZE / 2))


@pytest.fixture(scope="module")
def points(toy_model):
    return part_points(toy_model)


def test_every_part_has_points_and_they_lie_on_it(toy_model, points):
    assert set(points.label.tolist()) == {
        LABEL[n] for n in ("skin", "nose", "right_brow", "left_brow", "upper_lip", "lower_lip", "right_eye", "left_eye")
    }
    surface = points.label[: len(points.corners)]
    share = (toy_model.part_weight[points.corners] * points.bary[..., None]).sum(1)
    own = share.gather(1, surface[:, None])[:, 0]
    assert (own >= share.amax(1) - 1e-6).all()  # the largest share, up to ties on a border
    assert torch.allclose(points.bary.sum(1), torch.ones(len(points.bary)), atol=1e-6) and (points.bary > 0).all()
    assert torch.allclose(points.blend_weight.sum(1), torch.ones(len(points.blend)), atol=1e-6)
    # between the lids, or a little beyond them: the masks of eyes are that much taller than the landmarks
    assert points.blend_weight.min() >= -BEYOND and points.blend_weight.max() <= 1 + BEYOND


def test_made_once_and_always_the_same(toy_model, points):
    from facefit.scene.part_points import make_part_points

    assert part_points(toy_model) is points
    again = make_part_points(toy_model)
    assert torch.equal(again.corners, points.corners) and torch.equal(again.bary, points.bary)


def test_positions_by_hand(toy_model, points):
    verts = toy_model.verts[None]
    landmarks = toy_model.landmarks(verts)
    at = points.positions(verts, landmarks)
    assert at.shape == (1, len(points.label), 3)
    corner = verts[0, points.corners[3]]
    assert torch.allclose(at[0, 3], (corner * points.bary[3][:, None]).sum(0), atol=1e-4)
    first = landmarks[0, points.blend[5]]
    assert torch.allclose(at[0, len(points.corners) + 5], (first * points.blend_weight[5][:, None]).sum(0), atol=1e-4)


def test_an_eye_that_closes_takes_its_points_along(toy_model, points):
    """The points fill the opening: on closed lids they lie on one line, and no other part has moved."""
    landmarks = torch.zeros(1, 478, 3)
    for k, (upper, lower) in enumerate(zip(LEFT_UPPER_LID, LEFT_LOWER_LID, strict=True)):
        half = 5.0 if upper != lower else 0.0  # the lids share their corners
        landmarks[0, upper] = torch.tensor([3.0 * k, half, 0.0])
        landmarks[0, lower] = torch.tensor([3.0 * k, -half, 0.0])
    closed = landmarks.clone()
    closed[..., 1] = 0
    eye = points.label == LABEL["left_eye"]
    opened_at, closed_at = (points.positions(toy_model.verts[None], value) for value in (landmarks, closed))
    height = opened_at[0, eye, 1]
    assert height.max() == pytest.approx(5 + 10 * BEYOND, abs=1e-4) and height.mean().abs() < 1e-4
    assert closed_at[0, eye, 1].abs().max() < 1e-5
    assert 0.3 < (height.abs() < 2.5).float().mean() < 0.7  # evenly filled
    surface = slice(0, len(points.corners))
    assert torch.equal(opened_at[:, surface], closed_at[:, surface])


def test_depth_from_the_z_buffer(toy_model):
    renderer = load_renderer("cpu")
    flat = torch.tensor([[[-99.0, -99.0, -640.0], [99.0, -99.0, -640.0], [0.0, 150.0, -640.0]]])
    rast = renderer.rasterize(to_clip_space(flat, CAMERA, SIZE), torch.tensor([[0, 1, 2]]), SIZE)
    assert rast[0, SIZE // 2, SIZE // 2, 3] == 1
    assert rasterized_depth(rast)[0, SIZE // 2, SIZE // 2].item() == pytest.approx(640, abs=0.5)


def test_what_the_mesh_hides_is_not_seen():
    """A large triangle at 640 mm; points before it, on it, a little behind it, behind it, beside it, outside."""
    renderer = load_renderer("cpu")
    flat = torch.tensor([[[-20.0, -20.0, -640.0], [20.0, -20.0, -640.0], [0.0, 30.0, -640.0]]])
    rast = renderer.rasterize(to_clip_space(flat, CAMERA, SIZE), torch.tensor([[0, 1, 2]]), SIZE)
    points = torch.tensor(
        [[[0, 0, -600.0], [0, 0, -640], [0, 0, -640 - DEPTH_TOLERANCE + 1], [0, 0, -640 - DEPTH_TOLERANCE - 2],
          [-50, 45, -700], [300, 0, -640]]]
    )  # fmt: skip
    seen = visible_points(points, project(points, CAMERA), rast, rasterized_depth(rast))
    assert seen.tolist() == [[True, True, True, False, True, False]]


def test_faces_of_a_batch_hide_only_their_own_points():
    renderer = load_renderer("cpu")
    flat = torch.tensor([[[-20.0, -20.0, -640.0], [20.0, -20.0, -640.0], [0.0, 30.0, -640.0]]])
    both = torch.cat([flat, flat + torch.tensor([0, 0, -300.0])])
    camera = Camera(CAMERA.focal.repeat(2, 1), CAMERA.centre.repeat(2, 1))
    rast = renderer.rasterize(to_clip_space(both, camera, SIZE), torch.tensor([[0, 1, 2]]), SIZE)
    points = torch.tensor([[[0, 0, -800.0]]]).repeat(2, 1, 1)
    seen = visible_points(points, project(points, camera), rast, rasterized_depth(rast))
    assert seen.tolist() == [[False], [True]]


def test_on_a_turned_head_the_far_cheek_is_hidden(toy_model, points):
    from facefit.geometry.camera import to_camera_space

    renderer = load_renderer("cpu")
    at = to_camera_space(toy_model.verts[None], torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.0, -900.0]]))
    rast = renderer.rasterize(to_clip_space(at, CAMERA, SIZE), toy_model.faces, SIZE)
    where = points.positions(at, toy_model.landmarks(at))[:, : len(points.corners)]
    seen = visible_points(where, project(where, CAMERA), rast, rasterized_depth(rast))[0]
    rest = (toy_model.verts[points.corners] * points.bary[..., None]).sum(1)
    # turned to the viewer's right: the subject's left cheek (+x) turns away
    assert seen[rest[:, 0] < -40].float().mean() > 0.9
    assert seen[rest[:, 0] > 60].float().mean() < 0.3


def test_thinning_evens_out_what_crowds():
    """A line of points, three times as dense on its left: what is taken lies evenly, and only from what counts."""
    x = torch.cat([torch.linspace(0, 50, 150), torch.linspace(50, 100, 50)])
    pixels = torch.stack([x, torch.zeros(200)], 1)[None].repeat(2, 1, 1)
    label = torch.full((200,), LABEL["skin"])
    keep = torch.ones(2, 200, dtype=torch.bool)
    keep[1, :150] = False
    taken = thin_evenly(keep, label, pixels, 0.2)
    assert (taken & ~keep).sum() == 0
    assert taken[0].sum() == 40 and taken[1].sum() == 10
    assert pixels[0, taken[0], 0].mean().item() == pytest.approx(50, abs=3)  # of all points it is 37
    gaps = pixels[0, taken[0], 0].sort().values.diff()
    assert gaps.max() < 3 * gaps.median()
    assert torch.equal(thin_evenly(keep, label, pixels, 0.2), taken)


def test_thinning_goes_part_by_part():
    label = torch.tensor([LABEL["nose"]] * 10 + [LABEL["skin"]] * 40)
    pixels = torch.rand(1, 50, 2, generator=torch.Generator().manual_seed(0)) * 100
    taken = thin_evenly(torch.ones(1, 50, dtype=torch.bool), label, pixels, 0.5)
    assert taken[0, :10].sum() == 5 and taken[0, 10:].sum() == 20
    nothing = thin_evenly(torch.zeros(1, 50, dtype=torch.bool), label, pixels, 0.5)
    assert not nothing.any()

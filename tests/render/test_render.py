"""The CPU renderer: coverage, interpolation and their gradients, by hand and against finite differences."""

import numpy as np
import pytest
import torch

from facefit.errors import FaceFitError
from facefit.render import Renderer, load_renderer

FACE = torch.tensor([[0, 1, 2]])


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return load_renderer("cpu")


def at_pixels(points, size: int, z: float = 0.0, w: float = 1.0, dtype=torch.float32) -> torch.Tensor:
    """Pixel positions (N, 2) -> (1, N, 4) clip space."""
    p = torch.as_tensor(points, dtype=dtype)
    return (
        torch.stack(
            [p[:, 0] * 2 / size - 1, 1 - p[:, 1] * 2 / size, torch.full_like(p[:, 0], z), torch.ones_like(p[:, 0])], -1
        )[None]
        * w
    )


def random_scene(seed: int = 0, batch: int = 1, vertices: int = 12, faces: int = 10, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    ndc = torch.rand(batch, vertices, 3, generator=generator, dtype=dtype) * 1.8 - 0.9
    w = 0.5 + torch.rand(batch, vertices, 1, generator=generator, dtype=dtype)
    chosen = torch.stack([torch.randperm(vertices, generator=generator)[:3] for _ in range(faces)])
    return torch.cat([ndc * w, w], -1), chosen


def test_one_triangle_covers_the_pixels_whose_centres_it_holds_with_row_zero_on_top(renderer):
    clip = at_pixels([(0, 0), (4, 0), (0, 4)], 4, z=0.25)
    rast = renderer.rasterize(clip, FACE, 4)[0]
    expected = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    # the hypotenuse runs through the centres with x + y = 4; the face lies to their left, so it does not own them
    assert torch.equal(rast[..., 3].int(), expected.int())
    # at (1.5, 0.5): v = 1.5 / 4 (vertex 1 lies at x = 4), t = 0.5 / 4, u the rest
    torch.testing.assert_close(rast[0, 1], torch.tensor([0.5, 0.375, 0.25, 1.0]))
    assert (rast[3] == 0).all()


def test_the_nearer_of_two_overlapping_faces_is_seen_whatever_the_order(renderer):
    near, far = at_pixels([(0, 0), (8, 0), (0, 8)], 8, z=-0.5), at_pixels([(0, 0), (8, 0), (8, 8)], 8, z=0.5)
    clip = torch.cat([near, far], 1)
    for faces, seen in (([[0, 1, 2], [3, 4, 5]], 1), ([[3, 4, 5], [0, 1, 2]], 2)):
        rast = renderer.rasterize(clip, torch.tensor(faces), 8)[0]
        assert rast[0, 1, 3] == seen and rast[0, 1, 2] == -0.5
        assert rast[5, 6, 3] == 3 - seen and rast[5, 6, 2] == 0.5


def test_hidden_faces_are_left_out_whatever_their_order_and_winding(renderer):
    """Many overlapping faces against the definition: of all faces over a pixel centre, the nearest."""
    rng = np.random.default_rng(3)
    corner, size = rng.uniform(-1, 1, (150, 1, 2)), 24
    xy = corner + rng.uniform(-0.5, 0.5, (150, 3, 2))
    z = rng.uniform(-0.6, 0.6, (150, 1)) + rng.choice([0, 0.05, 0.5], (150, 1)) * rng.normal(size=(150, 3))
    clip = torch.from_numpy(np.concatenate([xy, z[..., None], np.ones((150, 3, 1))], 2).reshape(1, -1, 4))
    got = renderer.rasterize(clip, torch.arange(450).reshape(-1, 3), size)[0]
    centre = (np.arange(size) + 0.5) * 2 / size - 1
    points = np.stack(np.meshgrid(centre, -centre), -1)  # (size, size, 2) x, y
    nearest, best = np.full((size, size), np.inf), np.zeros((size, size))
    for f, (a, b, c) in enumerate(xy):
        u, v = np.linalg.solve(np.stack([b - a, c - a], 1), (points - a).reshape(-1, 2).T).reshape(2, size, size)
        weights = np.stack([1 - u - v, u, v])
        depth = np.tensordot(z[f], weights, 1)
        nearer = (weights.min(0) >= 0) & (np.abs(depth) <= 1) & (depth < nearest)
        nearest[nearer], best[nearer] = depth[nearer], f + 1
    assert len(np.unique(best)) > 30
    np.testing.assert_array_equal(got[..., 3], best)


def test_the_first_of_faces_in_one_place_is_seen_whichever_way_they_wind(renderer):
    clip = torch.tensor([[[-0.9, -0.8, 0.0, 1.0], [0.9, -0.7, 0.0, 1.0], [0.1, 0.9, 0.0, 1.0]]])
    for faces in ([[0, 1, 2], [0, 2, 1]], [[0, 2, 1], [0, 1, 2]], [[2, 1, 0], [1, 2, 0]]):
        assert renderer.rasterize(clip, torch.tensor(faces), 9)[..., 3].unique().tolist() == [0, 1]


def test_depth_decides_per_pixel_where_faces_cross(renderer):
    clip = at_pixels([(0, 0), (8, 0), (0, 8), (0, 0), (8, 0), (0, 8)], 8)
    clip[0, :, 2] = torch.tensor([-0.4, 0.4, -0.4, 0.0, 0.0, 0.0])
    row = renderer.rasterize(clip, torch.tensor([[0, 1, 2], [3, 4, 5]]), 8)[0, 0, :, 3]
    assert row[:7].tolist() == [1, 1, 1, 1, 2, 2, 2]


def test_a_shared_edge_has_no_crack_and_no_double_coverage(renderer):
    size = 33
    generator = np.random.default_rng(1)
    for _ in range(20):
        # a fan around a point, its rim on a circle: each centre inside must be drawn exactly once
        centre = generator.uniform(12, 21, 2).round(generator.integers(0, 3))
        angles = (np.arange(9) + generator.uniform(0, 0.9, 9)) * 2 * np.pi / 9
        rim = 16.5 + 15.3 * np.stack([np.cos(angles), np.sin(angles)], -1)
        clip = at_pixels(np.concatenate([[centre], rim]), size)
        fan = torch.tensor([[0, 1 + k, 1 + (k + 1) % 9] for k in range(9)])
        alone = torch.stack([renderer.rasterize(clip, fan[k : k + 1], size)[0, ..., 3] for k in range(9)])
        assert alone.sum(0).max() == 1
        together = renderer.rasterize(clip, fan, size)[0, ..., 3]
        assert torch.equal(together > 0, alone.sum(0) > 0)
        x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
        nxt = np.roll(rim, -1, 0)
        cross = [(b - a)[0] * (y - a[1]) - (b - a)[1] * (x - a[0]) for a, b in zip(rim, nxt, strict=True)]
        inside = np.min(cross, 0) > 1e-3
        assert (together.numpy()[inside] > 0).all()


def test_centres_exactly_on_shared_edges_and_corners_are_drawn_once(renderer):
    size = 8
    grid = [(x + 0.5, y + 0.5) for y in range(0, 8, 2) for x in range(0, 8, 2)]
    faces = []
    for r in range(3):
        for c in range(3):
            a, b, d, e = 4 * r + c, 4 * r + c + 1, 4 * r + c + 4, 4 * r + c + 5
            faces += [[a, b, e], [a, e, d]]
    clip = at_pixels(grid, size)
    drawn = sum((renderer.rasterize(clip, torch.tensor([f]), size)[0, ..., 3] > 0).int() for f in faces)
    assert drawn[1:6, 1:6].eq(1).all() and drawn.max() == 1 and drawn.sum() == 36


def test_perspective_correct_interpolation_of_a_slanted_plane(renderer):
    # the plane z = x - 4 seen with focal 1.5: the depth doubles and more across the picture
    size = 64
    corners = torch.tensor([[-2.0, -2, -6], [2, -2, -2], [2, 2, -2], [-2, 2, -6]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    w = -corners[:, 2:]
    clip = torch.cat([corners[:, :2] * 1.5, w * 0.1, w], -1)[None]
    rast = renderer.rasterize(clip, faces, size)
    point = renderer.interpolate(corners[None], rast, faces)[0]
    seen = rast[0, ..., 3] > 0
    ndc = (torch.arange(size) + 0.5) * 2 / size - 1
    column = ndc[None].expand(size, size) / 1.5
    row = -ndc[:, None].expand(size, size) / 1.5
    # X = x / (4 - x)  =>  x = 4 X / (1 + X), depth 4 - x
    x = 4 * column / (1 + column)
    expected = torch.stack([x, row * (4 - x), x - 4], -1)
    assert seen.sum() > 500
    torch.testing.assert_close(point[seen], expected[seen], atol=2e-5, rtol=1e-5)
    assert (point[~seen] == 0).all()


def test_faces_behind_across_and_far_beyond_the_view(renderer):
    size = 16
    behind = at_pixels([(0, 0), (16, 0), (0, 16)], size, w=-1.0)
    assert (renderer.rasterize(behind, FACE, size) == 0).all()
    # a floor y = -1 from behind the camera to far ahead fills the lower half of the picture, up to the horizon
    floor = torch.tensor([[-1e6, -1, 1e3, -1e3], [1e6, -1, 1e3, -1e3], [0, -1, 0, 1e6]])[None]
    floor[..., 2] = 0
    rast = renderer.rasterize(floor, FACE, size)[0]
    assert (rast[:8, :, 3] == 0).all() and (rast[8:, :, 3] == 1).all()
    huge = at_pixels([(-1e9, -1e9), (3e9, -1e9), (-1e9, 3e9)], size)
    assert (renderer.rasterize(huge, FACE, size)[..., 3] == 1).all()
    for z in (-1.01, 1.01):
        assert (renderer.rasterize(at_pixels([(0, 0), (16, 0), (0, 16)], size, z=z), FACE, size) == 0).all()


def test_degenerate_and_invalid_faces_draw_nothing_and_give_no_gradient(renderer):
    clip = at_pixels([(1, 1), (7, 7), (4, 4), (1, 1), (1, 6)], 8)
    clip = torch.cat([clip, torch.full((1, 1, 4), float("nan"))], 1).requires_grad_()
    faces = torch.tensor([[0, 1, 2], [0, 3, 4], [0, 0, 1], [0, 4, 5]])
    rast = renderer.rasterize(clip, faces, 8)
    assert (rast == 0).all()
    color = renderer.interpolate(torch.ones(1, 6, 2), rast, faces)
    color.sum().backward()
    assert (clip.grad == 0).all()
    assert (renderer.rasterize(clip, torch.zeros(0, 3, dtype=torch.int64), 8) == 0).all()


def away_from_edges(rast: torch.Tensor) -> torch.Tensor:
    """Pixels whose point is not within 1 % of its face's rim, so that a small step does not leave the face."""
    u, v = rast[..., 0], rast[..., 1]
    return (rast[..., 3] > 0) & (torch.stack([u, v, 1 - u - v]).amin(0) > 0.01)


def test_gradient_of_rasterize_against_finite_differences(renderer):
    clip, faces = random_scene()
    size = 24
    generator = torch.Generator().manual_seed(3)
    rast = renderer.rasterize(clip, faces, size)
    weight = torch.rand(1, size, size, 2, generator=generator, dtype=clip.dtype) * away_from_edges(rast)[..., None]

    def value(c):
        moved = renderer.rasterize(c, faces, size)
        assert torch.equal(moved[..., 3][weight[..., 0] > 0], rast[..., 3][weight[..., 0] > 0])
        return (moved[..., :2] * weight).sum()

    variable = clip.clone().requires_grad_()
    value(variable).backward()
    assert (variable.grad[..., 2] == 0).all() and variable.grad.abs().max() > 1
    step = 1e-7
    for v in range(clip.shape[1]):
        for axis in (0, 1, 3):
            up, down = clip.clone(), clip.clone()
            up[0, v, axis] += step
            down[0, v, axis] -= step
            numeric = (value(up) - value(down)) / (2 * step)
            torch.testing.assert_close(variable.grad[0, v, axis], numeric, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_of_interpolate(renderer, groups):
    clip, faces = random_scene(batch=2)
    rast = renderer.rasterize(clip, faces, 9).requires_grad_()
    values = torch.rand(groups, clip.shape[1], 5, dtype=torch.float64, requires_grad=True)
    uv = rast[..., :2].detach().clone().requires_grad_()

    def f(values, uv):
        return renderer.interpolate(values, torch.cat([uv, rast[..., 2:].detach()], -1), faces)

    assert (f(values, uv) != 0).any()
    assert torch.autograd.gradcheck(f, (values, uv * (rast[..., 3:] > 0)), fast_mode=True)


def test_interpolate_takes_faces_of_another_index_space(renderer):
    clip = at_pixels([(0, 0), (4, 0), (0, 4)], 4)
    rast = renderer.rasterize(clip, FACE, 4)
    uv = torch.tensor([[[9.0], [0.0], [4.0], [8.0]]])
    out = renderer.interpolate(uv, rast, torch.tensor([[1, 2, 3]]))
    # at (1.5, 0.5): 0.375 of vertex 1 (value 4) and 0.125 of vertex 2 (value 8)
    torch.testing.assert_close(out[0, 0, 1, 0], torch.tensor(0.375 * 4 + 0.125 * 8))


def test_faces_of_a_batch_do_not_touch_each_other(renderer):
    clip, faces = random_scene(batch=3, dtype=torch.float32)
    values = torch.rand(3, clip.shape[1], 4)

    def run(c, v):
        c, v = c.clone().requires_grad_(), v.clone().requires_grad_()
        rast = renderer.rasterize(c, faces, 32)
        color = renderer.antialias(renderer.interpolate(v, rast, faces), rast, c, faces)
        (color**2).sum().backward()
        return color.detach(), c.grad, v.grad

    together = run(clip, values)
    order = [2, 0, 1]
    for got, expected in zip(run(clip[order], values[order]), together, strict=True):
        assert torch.equal(got, expected[order])
    for b in range(3):
        for got, expected in zip(run(clip[b : b + 1], values[b : b + 1]), together, strict=True):
            assert torch.equal(got[0], expected[b])


def test_the_number_of_threads_changes_no_bit(renderer):
    clip, faces = random_scene(vertices=60, faces=80, dtype=torch.float32, batch=2)
    values = torch.rand(1, 60, 4)

    def run(threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            c, v = clip.clone().requires_grad_(), values.clone().requires_grad_()
            rast = renderer.rasterize(c, faces, 64)
            color = renderer.antialias(renderer.interpolate(v, rast, faces), rast, c, faces)
            (color**2).sum().backward()
        finally:
            torch.set_num_threads(before)
        return color.detach(), c.grad, v.grad

    most = run(4)
    for got, expected in zip(run(1), most, strict=True):
        assert torch.equal(got, expected)


def test_load_renderer_names_what_is_missing():
    assert load_renderer("auto", "cpu").name == "cpu"
    with pytest.raises(ValueError, match="accepted: auto, nvdiffrast, cpu"):
        load_renderer("opengl")
    with pytest.raises(FaceFitError, match="needs an NVIDIA GPU"):
        load_renderer("nvdiffrast", "cpu")
    assert isinstance(load_renderer("cpu"), Renderer)


def test_wrong_shapes_are_refused(renderer):
    clip, faces = random_scene(dtype=torch.float32)
    with pytest.raises(ValueError, match="expected \\(B, V, 4\\)"):
        renderer.rasterize(clip[0], faces, 8)
    with pytest.raises(ValueError, match="there are 12 vertices"):
        renderer.rasterize(clip, faces + 9, 8)
    with pytest.raises(ValueError, match="expected \\(F, 3\\) integers"):
        renderer.rasterize(clip, faces.float(), 8)
    rast = renderer.rasterize(clip, faces, 8)
    with pytest.raises(ValueError, match="expected \\(1, N, C\\)|or \\(1, N, C\\)"):
        renderer.interpolate(torch.rand(2, 12, 3), rast, faces)

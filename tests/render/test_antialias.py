"""Silhouette antialiasing of the CPU renderer: blends by hand, gradients against coverage at high resolution."""

import numpy as np
import pytest
import torch

from facefit.geometry.camera import Camera, to_clip_space
from facefit.render import Renderer, load_renderer
from facefit.render.antialias_kernels import edge_neighbours, edge_senses, unique_edges


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return load_renderer("cpu")


def at_pixels(points, size: int, z: float = 0.0, dtype=torch.float64) -> torch.Tensor:
    p = torch.as_tensor(points, dtype=dtype)
    x, y = p[:, 0] * 2 / size - 1, 1 - p[:, 1] * 2 / size
    return torch.stack([x, y, torch.full_like(x, z), torch.ones_like(x)], -1)[None]


SQUARE = torch.tensor([[0, 1, 2], [0, 2, 3]])


def square(left: float, top: float, right: float, bottom: float, size: int, z: float = 0.0) -> torch.Tensor:
    return at_pixels([(left, top), (right, top), (right, bottom), (left, bottom)], size, z)


def coverage(renderer, clip, faces, size):
    rast = renderer.rasterize(clip, faces, size)
    return renderer.antialias((rast[..., 3:] > 0).to(clip.dtype), rast, clip, faces)[0, ..., 0]


def sphere(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A unit sphere with poles on y."""
    polar, angle = np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) * 2 * np.pi / columns, indexing="ij")
    verts = np.stack([np.sin(polar) * np.cos(angle), np.cos(polar), np.sin(polar) * np.sin(angle)], -1)
    grid = np.arange(rows * columns).reshape(rows, columns)
    a, b = grid[:-1], grid[1:]
    c, d = np.roll(a, -1, 1), np.roll(b, -1, 1)
    faces = np.concatenate([np.stack([a, c, d], -1).reshape(-1, 3), np.stack([a, d, b], -1).reshape(-1, 3)])
    return torch.tensor(verts.reshape(-1, 3)), torch.tensor(faces)


def test_edge_neighbours_by_hand():
    assert edge_neighbours(np.array([[0, 1, 2], [2, 1, 3]], np.int32)).tolist() == [[1, -1, -1], [-1, -1, 0]]
    fan = np.array([[0, 1, 2], [0, 1, 3], [0, 1, 4]], np.int32)  # three faces on one edge: the first two are paired
    assert edge_neighbours(fan)[:, 2].tolist() == [1, 0, -1]
    assert edge_neighbours(np.zeros((0, 3), np.int32)).shape == (0, 3)


def test_each_edge_is_listed_once_with_its_sense_by_hand():
    # 0-1-2 and 2-1-3 wind alike, so they run along their edge 1-2 in opposite directions; 1-2-4 does not
    for second, sense in (([2, 1, 3], -1), ([1, 2, 4], 1)):
        faces = np.array([[0, 1, 2], second], np.int32)
        across = edge_neighbours(faces)
        senses, edges = edge_senses(faces, across), unique_edges(faces, across)
        assert senses[0].tolist() == [sense, 0, 0] and senses[1, across[1] == 0].tolist() == [sense]
        assert len(edges) == 5 and len({frozenset(e) for e in edges[:, :2].tolist()}) == 5
        for p, q, face, corner in edges:
            assert {p, q, faces[face, corner]} == set(faces[face].tolist())


def test_a_fold_of_faces_that_wind_differently_is_an_outline(renderer):
    """The same two triangles on one side of their common edge, with either winding of the second."""
    clip = at_pixels([(2.2, 1.0), (2.2, 7.0), (6.0, 4.0), (5.0, 2.0)], 8)
    for second in ([0, 1, 3], [1, 0, 3]):
        got = coverage(renderer, clip, torch.tensor([[0, 1, 2], second]), 8)
        assert got[3, 2].item() == pytest.approx(0.8)
    for second in ([0, 1, 3], [1, 0, 3]):  # on the other side there is no outline
        clip[0, 3, 0] = -1
        assert coverage(renderer, clip, torch.tensor([[0, 1, 2], second]), 8)[4, 2].item() == 1


def test_a_squares_rim_is_blended_by_its_coverage(renderer):
    # left edge at 2.2: column 2 is drawn and uncovered by 0.2; right edge at 5.7: column 5 is drawn, uncovered by 0.3;
    # top edge at 1.9: row 1 is not drawn, covered by 0.1; bottom at 6.0: nothing to blend
    got = coverage(renderer, square(2.2, 1.9, 5.7, 6.0, 8), SQUARE, 8)
    torch.testing.assert_close(got[3, :], torch.tensor([0, 0, 0.8, 1, 1, 0.7, 0, 0], dtype=torch.float64))
    torch.testing.assert_close(got[:, 3], torch.tensor([0, 0.1, 1, 1, 1, 1, 0, 0], dtype=torch.float64))


def test_inner_edges_and_flat_colours_are_left_alone(renderer):
    clip = square(-1, -1, 9, 9, 8)
    rast = renderer.rasterize(clip, SQUARE, 8)
    assert len(rast[..., 3].unique()) == 2
    color = torch.rand(1, 8, 8, 3, dtype=torch.float64)
    assert torch.equal(renderer.antialias(color, rast, clip, SQUARE), color)


def test_the_nearer_surface_has_the_outline_and_a_hidden_one_has_none(renderer):
    near, far = square(2.2, -1, 5.7, 9, 8, z=-0.5), square(3.3, -1, 9, 9, 8, z=0.5)
    clip, faces = torch.cat([near, far], 1), torch.cat([SQUARE, SQUARE + 4])
    rast = renderer.rasterize(clip, faces, 8)
    value = torch.tensor([0.0, 1, 1, 3, 3], dtype=torch.float64)[rast[..., 3].long()][..., None]
    got = renderer.antialias(value, rast, clip, faces)[0, 4, :, 0]
    # the far square's left edge at 3.3 is hidden; the near one's right edge mixes 1 and 3 in column 5
    torch.testing.assert_close(got, torch.tensor([0, 0, 0.8, 1, 1, 0.7 + 0.3 * 3, 3, 3], dtype=torch.float64))


def test_a_fold_on_the_screen_is_an_outline(renderer):
    # two faces share the upright edge x = 4.7 and both lie to its left: one turns its back
    clip = at_pixels([(4.7, -1), (4.7, 9), (-8, 4), (-8, 5)], 8)
    clip[0, 3, 2] = 0.5
    got = coverage(renderer, clip, torch.tensor([[0, 1, 2], [0, 3, 1]]), 8)
    torch.testing.assert_close(got[4], torch.tensor([1, 1, 1, 1, 0.7, 0, 0, 0], dtype=torch.float64))


def test_gradients_against_finite_differences(renderer):
    size = 16
    generator = torch.Generator().manual_seed(0)
    clip = at_pixels([(2.3, 1.4), (13.6, 3.2), (11.3, 13.7), (1.2, 10.6)], size)
    clip = clip * torch.tensor([0.7, 1.0, 1.4, 0.9], dtype=torch.float64)[None, :, None]
    clip[..., 2] = 0
    background = torch.rand(1, size, size, 3, generator=generator, dtype=torch.float64)
    weight = torch.rand(1, size, size, 3, generator=generator, dtype=torch.float64)
    rast = renderer.rasterize(clip, SQUARE, size)

    def value(c, color):
        return (renderer.antialias(color, rast, c, SQUARE) * weight).sum()

    variable, color = clip.clone().requires_grad_(), background.clone().requires_grad_()
    value(variable, color).backward()
    assert (variable.grad[..., 2] == 0).all() and (variable.grad[..., [0, 1, 3]].abs() > 1e-2).all()
    step = 1e-6
    for v in range(4):
        for axis in (0, 1, 3):
            shift = torch.zeros_like(clip)
            shift[0, v, axis] = step
            numeric = (value(clip + shift, background) - value(clip - shift, background)) / (2 * step)
            torch.testing.assert_close(variable.grad[0, v, axis], numeric, rtol=1e-5, atol=1e-6)
    shift = torch.randn(background.shape, generator=generator, dtype=torch.float64)
    numeric = value(clip, background + shift) - value(clip, background)
    torch.testing.assert_close((color.grad * shift).sum(), numeric)


def test_moving_a_square_gives_the_gradient_of_its_area(renderer):
    size = 32
    edges = torch.tensor([6.3, 7.6, 24.8, 21.1], dtype=torch.float64, requires_grad=True)
    left, top, right, bottom = edges
    x, y = torch.stack([left, right, right, left]), torch.stack([top, top, bottom, bottom])
    clip = torch.stack([x * 2 / size - 1, 1 - y * 2 / size, x * 0, x * 0 + 1], -1)[None]
    coverage(renderer, clip, SQUARE, size).sum().backward()
    width, height = 24.8 - 6.3, 21.1 - 7.6
    expected = torch.tensor([-height, -width, height, width], dtype=torch.float64)
    torch.testing.assert_close(edges.grad, expected, rtol=0.07, atol=0)


@pytest.mark.parametrize("rows, columns", [(9, 12), (25, 48), (97, 180)])
def test_silhouette_gradient_of_a_sphere_at_any_density(renderer, rows, columns):
    """Faces of 20 pixels down to a tenth of one: the outline moves the weighted area as the picture itself does."""
    size = 64
    verts, faces = sphere(rows, columns)

    def energy(scale, shift, side, smooth):
        points = (verts * scale * 70 + shift * 70 + torch.tensor([0.0, 0, -1000]))[None]
        focal = torch.full((1, 2), 4.5 * side, dtype=torch.float64)
        centre = torch.tensor([[0.502, 0.506]], dtype=torch.float64) * side
        clip = to_clip_space(points, Camera(focal, centre), side)
        rast = renderer.rasterize(clip, faces, side)
        mask = (rast[..., 3:] > 0).double()
        if smooth:
            mask = renderer.antialias(mask, rast, clip, faces)
        at = (torch.arange(side) + 0.5) / side
        weight = torch.sin(3 * at)[None] + torch.cos(2 * at)[:, None] * at[None]
        return (mask[0, ..., 0] * weight).sum() / side**2

    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    energy(scale, shift, size, True).backward()
    got = torch.stack([scale.grad, shift.grad[0], shift.grad[1]])
    step, axes = 0.02, torch.eye(3, dtype=torch.float64)
    with torch.no_grad():
        sides = [
            [energy(1 + sign * step * (k == 0), sign * step * (axes[k - 1] if k else axes[0] * 0), 16 * size, False)
             for sign in (1, -1)] for k in range(3)
        ]  # fmt: skip
    expected = torch.tensor([(up - down) / (2 * step) for up, down in sides])
    torch.testing.assert_close(got, expected.double(), rtol=0.05, atol=0.02)


def test_wrong_shapes_are_refused(renderer):
    clip = square(1, 1, 3, 3, 4)
    rast = renderer.rasterize(clip, SQUARE, 4)
    with pytest.raises(ValueError, match="do not fit"):
        renderer.antialias(torch.zeros(1, 5, 5, 3), rast, clip, SQUARE)

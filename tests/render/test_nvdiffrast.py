"""The nvdiffrast backend: held to the CPU backend, on a GPU where there is one, else on a stand-in for its module."""

import sys
import types

import numpy as np
import pytest
import torch

from facefit.geometry.camera import Camera, to_camera_space, to_clip_space
from facefit.model.model_file import load_model
from facefit.render import NVDIFFRAST_INSTALL, Renderer, load_renderer
from facefit.render.lighting import shade, vertex_normals
from facefit.scene.parameters import Parameters


class FakeContext:
    def __init__(self, device=None):
        self.device = device


def fake_module() -> types.ModuleType:
    """nvdiffrast.torch's documented functions on the CPU: int32 triangles, row 0 at y_ndc = -1, pairs as results."""
    cpu = load_renderer("cpu")
    module = types.ModuleType("nvdiffrast.torch")
    module.calls = []

    def upside_down(pos):
        return pos * torch.tensor([1.0, -1.0, 1.0, 1.0])

    def triangles(tri):
        assert tri.dtype == torch.int32 and tri.is_contiguous()
        return tri

    def rasterize(context, pos, tri, resolution, ranges=None, grad_db=True):
        assert isinstance(context, FakeContext) and pos.dtype == torch.float32 and ranges is None
        height, width = resolution
        assert height == width
        rast = cpu.rasterize(upside_down(pos), triangles(tri), height)
        return rast, torch.zeros_like(rast)

    def interpolate(attr, rast, tri, rast_db=None, diff_attrs=None):
        assert attr.is_contiguous() and rast.is_contiguous()
        return cpu.interpolate(attr, rast, triangles(tri)), None

    def antialias_construct_topology_hash(tri):
        module.calls.append("topology")
        return ("hash", tri.data_ptr())

    def antialias(color, rast, pos, tri, topology_hash=None, pos_gradient_boost=1.0):
        assert topology_hash == ("hash", tri.data_ptr())
        return cpu.antialias(color, rast, upside_down(pos), triangles(tri))

    module.RasterizeCudaContext = FakeContext
    module.rasterize, module.interpolate, module.antialias = rasterize, interpolate, antialias
    module.antialias_construct_topology_hash = antialias_construct_topology_hash
    return module


def bent_grid(rows: int = 7, columns: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    """Half a tube with faces of many pixels; (1, V, 4) clip space and faces."""
    across, up = np.meshgrid(np.linspace(-1.9, 1.9, columns), np.linspace(-0.8, 0.8, rows), indexing="xy")
    x, y, depth = 0.7 * np.sin(across), up + 0.1 * np.cos(3 * across), 4 - np.cos(across)
    verts = np.stack([x * depth / 1.1, y * depth / 1.3, 0.2 * (depth - 4) * depth, depth], -1).reshape(1, -1, 4)
    grid = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return torch.tensor(verts, dtype=torch.float32), torch.tensor(faces)


def picture(renderer: Renderer, device: str, size: int = 96) -> dict[str, torch.Tensor]:
    """Images and gradients of one smooth energy over two poses of the grid, on the CPU for comparison."""
    clip, faces = bent_grid()
    clip = torch.cat([clip, clip * torch.tensor([0.8, 1.1, 1.0, 1.0]) + torch.tensor([0.3, 0.2, 0.0, 0.0])])
    clip = clip.to(device).requires_grad_()
    faces = faces.to(device)
    values = torch.rand(1, clip.shape[1], 4, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()
    rast = renderer.rasterize(clip, faces, size)
    color = renderer.interpolate(values, rast, faces)
    smooth = renderer.antialias(color, rast, clip, faces)
    at = torch.arange(size, device=device) / size
    weight = (torch.sin(5 * at)[:, None] + torch.cos(4 * at)[None])[None, ..., None]
    (smooth * weight + smooth**2).sum().backward()
    found = {"rast": rast, "color": color, "smooth": smooth, "clip": clip.grad, "values": values.grad}
    return {name: tensor.detach().cpu() for name, tensor in found.items()}


def test_the_backend_speaks_to_nvdiffrast_as_documented(monkeypatch):
    fake = fake_module()
    package = types.ModuleType("nvdiffrast")
    package.torch = fake
    monkeypatch.setitem(sys.modules, "nvdiffrast", package)
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", fake)
    monkeypatch.delitem(sys.modules, "facefit.render.nvdiffrast", raising=False)
    try:
        from facefit.render.nvdiffrast import NvdiffrastRenderer

        backend = NvdiffrastRenderer("cpu")
        assert isinstance(backend, Renderer) and backend.name == "nvdiffrast"
        got, expected = picture(backend, "cpu"), picture(load_renderer("cpu"), "cpu")
        assert (expected["rast"][..., 3] > 0).float().mean() > 0.2
        for name in expected:
            torch.testing.assert_close(got[name], expected[name], atol=1e-6, rtol=1e-5)

        clip, faces = bent_grid()
        fake.calls.clear()
        rast = backend.rasterize(clip, faces, 16)
        for _ in range(3):
            backend.antialias(rast[..., 3:].contiguous(), rast, clip, faces)
        assert fake.calls == ["topology"]  # once per mesh
        kept = len(backend._converted)
        del faces
        assert len(backend._converted) == kept - 1 and not backend._topologies
        with pytest.raises(ValueError, match="expected torch.float32"):
            backend.rasterize(clip.double(), bent_grid()[1], 16)
        with pytest.raises(ValueError, match="expected \\(F, 3\\) integers"):
            backend.rasterize(clip, clip, 16)
    finally:
        sys.modules.pop("facefit.render.nvdiffrast", None)


def test_the_install_line_is_whole():
    assert "--no-build-isolation" in NVDIFFRAST_INSTALL and "NVlabs/nvdiffrast" in NVDIFFRAST_INSTALL


@pytest.mark.gpu
def test_parity_of_images_and_gradients():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pytest.importorskip("nvdiffrast.torch")
    got, expected = picture(load_renderer("nvdiffrast", "cuda"), "cuda"), picture(load_renderer("cpu"), "cpu")
    same = got["rast"][..., 3] == expected["rast"][..., 3]
    assert same.float().mean() > 0.995  # the rest are centres next to an edge, which nvdiffrast snaps to its grid
    torch.testing.assert_close(got["rast"][same][..., :3], expected["rast"][same][..., :3], atol=1e-3, rtol=0)
    torch.testing.assert_close(got["color"][same], expected["color"][same], atol=2e-3, rtol=0)
    assert (got["smooth"] - expected["smooth"]).abs().mean() < 1e-3
    for name in ("clip", "values"):
        a, b = got[name].flatten(), expected[name].flatten()
        cosine = torch.nn.functional.cosine_similarity(a, b, dim=0)
        assert cosine > 0.99, f"{name}: cosine {cosine:.4f}"
        assert abs(a.norm() / b.norm() - 1) < 0.05, name


def random_heads(count: int, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Clip space (N, V, 4), colours (N, V, 3) and faces of random people of the default model, turned and lit."""
    model = load_model()
    generator = torch.Generator().manual_seed(0)
    rest = Parameters.zeros(model.sizes, count)
    verts = model.shape(
        torch.randn(rest.identity.shape, generator=generator),
        0.3 * torch.rand(rest.expression.shape, generator=generator), rest.gaze,
    )  # fmt: skip
    turn = (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([0.6, 1.4, 0.5])
    points = to_camera_space(verts, turn, torch.tensor([0.0, 25.0, -1000.0]).expand(count, 3))
    camera = Camera(torch.full((count, 2), 1015.0 / 224 * side), torch.full((count, 2), side / 2))
    sh = rest.sh + 0.15 * torch.randn(rest.sh.shape, generator=generator)
    albedo = model.albedo(0.5 * torch.randn(rest.albedo.shape, generator=generator))
    return to_clip_space(points, camera, side), shade(albedo, vertex_normals(points, model.faces), sh), model.faces


def head_pictures(renderer: Renderer, device: str, side: int, count: int) -> tuple[torch.Tensor, ...]:
    """Pictures of random heads, and the gradients of one smooth energy by their vertices and colours, on the CPU."""
    clip, colours, faces = (value.to(device) for value in random_heads(count, side))
    clip, colours = clip.requires_grad_(), colours.requires_grad_()
    rast = renderer.rasterize(clip, faces, side)
    picture = renderer.antialias(renderer.interpolate(colours, rast, faces), rast, clip, faces)
    at = torch.arange(side, device=device) / side
    weight = (torch.sin(5 * at)[:, None] + torch.cos(4 * at)[None])[None, ..., None]
    (picture * weight + picture**2).sum().backward()
    return tuple(value.detach().cpu() for value in (picture, clip.grad, colours.grad))


def test_random_heads_are_in_the_picture_and_have_gradients():
    """What the parity test below compares is not empty: shown by the CPU backend alone."""
    picture, by_vertex, by_colour = head_pictures(load_renderer("cpu"), "cpu", 64, 2)
    covered = (picture.abs().sum(-1) > 0).float().mean((1, 2))
    assert ((covered > 0.15) & (covered < 0.95)).all() and not torch.equal(picture[0], picture[1])
    assert (by_vertex.abs().sum((1, 2)) > 1).all() and (by_colour.abs().sum((1, 2)) > 1).all()


@pytest.mark.gpu
def test_twenty_random_heads_look_the_same():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pytest.importorskip("nvdiffrast.torch")
    got = head_pictures(load_renderer("nvdiffrast", "cuda"), "cuda", 224, 20)
    expected = head_pictures(load_renderer("cpu"), "cpu", 224, 20)
    assert (got[0] - expected[0]).abs().mean() < 1e-3
    for name, a, b in zip(("vertices", "colours"), got[1:], expected[1:], strict=True):
        cosine = torch.nn.functional.cosine_similarity(a.flatten().double(), b.flatten().double(), dim=0)
        assert cosine > 0.999, f"{name}: cosine {cosine:.5f}"

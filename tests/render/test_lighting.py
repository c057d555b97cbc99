"""Normals, SH shading and the closed-form light."""

import math

import numpy as np
import pytest
import torch

from facefit.geometry.rotation import rotation_matrix
from facefit.render import lighting


def sphere_points(count: int, seed: int = 0, front: bool = False) -> torch.Tensor:
    n = torch.randn(1, count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if front:
        n[..., 2] = n[..., 2].abs()
    return n / n.norm(dim=-1, keepdim=True)


def tetrahedron() -> tuple[torch.Tensor, torch.Tensor]:
    verts = torch.tensor([[[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]], dtype=torch.float64)
    return verts, torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])


def test_normals_of_a_flat_square_point_at_the_viewer():
    verts = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    assert torch.equal(lighting.vertex_normals(verts, faces), torch.tensor([[[0.0, 0, 1]] * 4]))


def test_normals_weigh_faces_by_area():
    # a corner between a face of area 1 / 2 facing +z and one of area 3 / 2 facing +x
    verts = torch.tensor([[[0.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, -3]]])
    faces = torch.tensor([[0, 1, 2], [0, 3, 1]])
    normal = lighting.vertex_normals(verts, faces)[0, 0]
    torch.testing.assert_close(normal, torch.tensor([3.0, 0, 1]) / math.sqrt(10))


def test_normals_turn_with_the_mesh_and_match_the_plain_twin(toy_model):
    generator = torch.Generator().manual_seed(0)
    verts = toy_model.verts[None] + torch.randn(2, *toy_model.verts.shape, generator=generator)
    normals = lighting.vertex_normals(verts, toy_model.faces)
    torch.testing.assert_close(normals, lighting.vertex_normals_torch(verts, toy_model.faces), atol=1e-5, rtol=1e-4)
    turn = rotation_matrix(torch.tensor([[0.3, -0.5, 0.2]]))[0]
    torch.testing.assert_close(lighting.vertex_normals(verts @ turn.T, toy_model.faces), normals @ turn.T, atol=1e-5,
                               rtol=1e-4)  # fmt: skip
    assert normals[0, :, 2].mean() > 0.5  # the toy faces +z
    weight = torch.randn(normals.shape, generator=generator)
    gradients = []
    for function in (lighting.vertex_normals, lighting.vertex_normals_torch):
        variable = verts.clone().requires_grad_()
        (function(variable, toy_model.faces) * weight).sum().backward()
        gradients.append(variable.grad)
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-3)


def test_gradient_of_normals():
    verts, faces = tetrahedron()
    verts = (verts + 0.1 * torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1))).requires_grad_()
    for function in (lighting.vertex_normals, lighting.vertex_normals_torch):
        assert torch.autograd.gradcheck(lambda v, f=function: f(v, faces), (verts,))


def test_a_vertex_without_area_has_no_normal_and_no_gradient():
    verts = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5], [6, 6, 6], [7, 7, 7]]], requires_grad=True)
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    for function in (lighting.vertex_normals, lighting.vertex_normals_torch):
        verts.grad = None
        normals = function(verts, faces)
        assert (normals[0, 3:] == 0).all()
        normals.sum().backward()
        assert torch.isfinite(verts.grad).all() and (verts.grad[0, 3:] == 0).all()


def test_faces_out_of_range_are_refused():
    with pytest.raises(ValueError, match="there are 4 vertices"):
        lighting.vertex_normals(torch.zeros(1, 4, 3), torch.tensor([[0, 1, 4]]))


def test_sh_basis_is_orthonormal_on_the_sphere():
    # Gauss-Legendre in z times uniform angles integrates these polynomials exactly
    z, weight = np.polynomial.legendre.leggauss(8)
    angle = np.arange(16) * 2 * np.pi / 16
    z, angle = np.meshgrid(z, angle, indexing="ij")
    r = np.sqrt(1 - z**2)
    n = torch.tensor(np.stack([r * np.cos(angle), r * np.sin(angle), z], -1).reshape(-1, 3))
    w = torch.tensor(np.repeat(weight, 16) * 2 * np.pi / 16)
    basis = lighting.sh_basis(n)
    gram = basis.T @ (basis * w[:, None])
    torch.testing.assert_close(gram, torch.eye(9, dtype=torch.float64), atol=1e-5, rtol=0)


def test_sh_basis_by_hand_in_its_order():
    got = lighting.sh_basis(torch.tensor([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]]))
    expected = [
        [0.282095, 0, 0.488603 * 0.8, 0.488603 * 0.6, 0, 0, 0.315392 * 0.92, 1.092548 * 0.48, 0.546274 * 0.36],
        [0.282095, 0.488603, 0, 0, 0, 0, -0.315392, 0, -0.546274],
    ]
    torch.testing.assert_close(got, torch.tensor(expected))


def test_shade_matches_the_plain_twin_with_gradients_and_by_hand():
    generator = torch.Generator().manual_seed(2)
    normals = sphere_points(9).expand(2, -1, -1).contiguous()
    albedo = torch.rand(2, 9, 3, generator=generator, dtype=torch.float64)
    sh = torch.randn(2, 9, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(lighting.shade(albedo, normals, sh), lighting.shade_torch(albedo, normals, sh))
    inputs = tuple(t.requires_grad_() for t in (albedo, normals, sh))
    assert torch.autograd.gradcheck(lighting.shade, inputs)
    assert torch.autograd.gradcheck(lighting.shade_torch, inputs)
    assert torch.autograd.gradcheck(lighting.sh_basis, (normals,))
    white = torch.zeros(2, 9, 3, dtype=torch.float64)
    white[:, 0] = 1 / 0.282095
    torch.testing.assert_close(lighting.shade(albedo, normals, white), albedo)
    with pytest.raises(ValueError, match="expected \\(B, N, 3\\)"):
        lighting.shade(albedo, normals, sh[:1])


def known_light(seed: int = 5) -> torch.Tensor:
    sh = torch.randn(1, 9, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 0.3
    sh[:, 0] += 3.0
    return sh


def test_estimate_sh_recovers_a_known_light_exactly_without_ridge():
    normals, sh = sphere_points(300, front=True), known_light()
    albedo = torch.rand(1, 300, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64) * 0.6 + 0.2
    colors = lighting.shade(albedo, normals, sh)
    got = lighting.estimate_sh(colors, albedo, normals, torch.ones(1, 300, dtype=torch.float64), ridge=1e-12)
    torch.testing.assert_close(got, sh, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("patch", [True, False])
def test_estimate_sh_is_robust_to_outliers_and_ignores_weightless_points(patch):
    generator = torch.Generator().manual_seed(7)
    count = 2000
    normals, sh = sphere_points(count, front=True), known_light()
    albedo = torch.rand(1, count, 3, generator=generator, dtype=torch.float64) * 0.5 + 0.3
    clean = lighting.shade(albedo, normals, sh)
    colors = clean + 0.01 * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    scattered = torch.rand(count, generator=generator, dtype=torch.float64) < 0.3
    hair = normals[0, :, 1] > 0.75 if patch else scattered
    assert hair.double().mean() > 0.1
    colors[:, hair] = 0.05
    weight = torch.ones(1, count, dtype=torch.float64)
    weight[:, -50:] = 0
    colors[:, -50:] = 40.0
    sides = ~hair & (weight[0] > 0)

    def error(light):
        return (lighting.shade(albedo, normals, light) - clean)[:, sides].abs().mean()

    robust = error(lighting.estimate_sh(colors, albedo, normals, weight))
    plain = error(lighting.estimate_sh(colors, albedo, normals, weight, iterations=0))
    assert robust < 0.004 and robust < 0.1 * plain


def test_estimate_sh_falls_back_to_ambient_light():
    normals = sphere_points(40, front=True)
    albedo = torch.full((1, 40, 3), 0.5, dtype=torch.float64)
    colors = 0.8 * albedo
    few = torch.zeros(1, 40, dtype=torch.float64)
    few[:, :5] = 1
    colors[:, 5:] = 9.0
    got = lighting.estimate_sh(colors, albedo, normals, few)
    torch.testing.assert_close(got[:, 0], torch.full((1, 3), 0.8 / 0.282095, dtype=torch.float64))
    assert (got[:, 1:] == 0).all()
    none = lighting.estimate_sh(colors, albedo, normals, few * 0)
    torch.testing.assert_close(none[:, 0], torch.full((1, 3), 1 / 0.282095, dtype=torch.float64))
    # all points with the same normal: singular without the ridge
    same = lighting.estimate_sh(0.8 * albedo, albedo, normals[:, :1].expand(-1, 40, -1), few + 1)
    torch.testing.assert_close(lighting.shade(albedo, normals[:, :1].expand(-1, 40, -1).contiguous(), same),
                               0.8 * albedo, atol=1e-6, rtol=0)  # fmt: skip


def test_estimate_sh_treats_each_photo_alone():
    normals, sh = sphere_points(100, front=True), known_light()
    albedo = torch.rand(1, 100, 3, generator=torch.Generator().manual_seed(8), dtype=torch.float64) * 0.5 + 0.3
    colors = torch.cat([lighting.shade(albedo, normals, sh), lighting.shade(albedo, normals, sh * 0.5)])
    two = [t.expand(2, -1, -1) for t in (albedo, normals)]
    weight = torch.ones(2, 100, dtype=torch.float64)
    both = lighting.estimate_sh(colors, *two, weight)
    for b in range(2):
        alone = lighting.estimate_sh(colors[b : b + 1], albedo, normals, weight[:1])
        torch.testing.assert_close(both[b : b + 1], alone)

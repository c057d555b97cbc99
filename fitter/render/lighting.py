"""Lighting: vertex normals, spherical-harmonics (SH) shading of a Lambertian surface, and the closed-form light.

Normals are in **camera space**, so the light belongs to the photo and not to the head. Colours and albedo are
sRGB-encoded values used as they are, as in all papers this builds on: shading is a multiplication of encoded values.

`vertex_normals` and `shade` run as one fused pass on the CPU (render.lighting_kernels) and as plain torch elsewhere:
their plain twins `vertex_normals_torch` and `shade_torch`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .harmonics import SH0, sh_basis
from .lighting_kernels import Shade, VertexNormals

# Points (sum of weights) below which nothing but ambient light is estimated: three for each of the 9 unknowns.
_FEWEST_POINTS = 27.0


def vertex_normals(verts: Tensor, faces: Tensor) -> Tensor:
    """Unit normals of a mesh, the mean of the adjacent faces' normals weighted by their area.

    Args:
        verts: (B, V, 3) any space; the normals are in the same.
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
    Returns:
        (B, V, 3) unit, outwards; zero (with zero gradient) at a vertex without face area.
    """
    if verts.device.type == "cpu":
        return VertexNormals.apply(verts, faces)
    return vertex_normals_torch(verts, faces)


def vertex_normals_torch(verts: Tensor, faces: Tensor) -> Tensor:
    """The plain twin of `vertex_normals`: (B, V, 3), (F, 3) -> (B, V, 3)."""
    corners = faces.reshape(-1).long()
    a, b, c = verts[:, corners].reshape(verts.shape[0], -1, 3, 3).unbind(2)
    area = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(verts).index_add(1, corners, area.repeat_interleave(3, 1))
    square = (total * total).sum(-1, keepdim=True)
    empty = square == 0
    return torch.where(empty, 0.0, total * torch.where(empty, 1.0, square).rsqrt())


def shade(albedo: Tensor, normals: Tensor, sh: Tensor) -> Tensor:
    """Colour of a Lambertian surface under SH light: albedo * (sh_basis(normals) @ sh), not clamped.

    Args:
        albedo: (B, N, 3) sRGB-encoded reflectance.
        normals: (B, N, 3) unit, camera space.
        sh: (B, 9, 3) RGB coefficients.
    Returns:
        (B, N, 3) sRGB-encoded colours.
    Raises:
        ValueError: shapes that do not fit.
    """
    if albedo.shape != normals.shape or sh.shape != (albedo.shape[0], 9, 3):
        raise ValueError(
            f"albedo {tuple(albedo.shape)}, normals {tuple(normals.shape)} and sh {tuple(sh.shape)} do not fit; "
            "expected (B, N, 3), (B, N, 3) and (B, 9, 3)"
        )
    if albedo.device.type == "cpu":
        return Shade.apply(albedo, normals, sh)
    return shade_torch(albedo, normals, sh)


def shade_torch(albedo: Tensor, normals: Tensor, sh: Tensor) -> Tensor:
    """The plain twin of `shade`: (B, N, 3), (B, N, 3), (B, 9, 3) -> (B, N, 3)."""
    return albedo * (sh_basis(normals) @ sh)


@torch.no_grad()
def estimate_sh(
    colors: Tensor,
    albedo: Tensor,
    normals: Tensor,
    weight: Tensor,
    iterations: int = 20,
    ridge: float = 1e-3,
    noise: float = 0.02,
) -> Tensor:
    """The light that explains observed colours of a known surface, robust to hair, hands, shadows and highlights.

    Iteratively reweighted least squares with weights albedo^-0.5 * |c - c_hat|^-1.5, so outliers count by the root of
    their error. A small ridge holds the solution near ambient light, since a face shows half of all normals; where
    fewer than 27 points count, ambient light alone is estimated, and white ambient light (shading 1) from none.

    Args:
        colors, albedo: (B, N, 3) observed colours and the surface's albedo, sRGB-encoded in [0, 1].
        normals: (B, N, 3) unit, camera space.
        weight: (B, N) at least 0; 0 leaves a point out.
        iterations: of reweighting; 0 is plain least squares.
        ridge: relative to the mean diagonal of the normal equations.
        noise: colour difference (of 1) below which residuals no longer gain weight: noise and model error.
    Returns:
        (B, 9, 3) SH coefficients; no gradient.
    Source: Bai et al. 2021, Riggable 3D Face Reconstruction via In-Network Optimization, eq. 11.
    """
    basis = sh_basis(normals)
    reflect = albedo.clamp_min(1e-2)
    points = weight.sum(1)
    base = weight[..., None] * reflect.rsqrt()
    eye = torch.eye(9, dtype=colors.dtype, device=colors.device)
    robust = torch.ones_like(weight)
    sh = torch.zeros(len(colors), 9, 3, dtype=colors.dtype, device=colors.device)
    for _ in range(iterations + 1):
        w = base * robust[..., None]
        # ambient light alone, the weighted ratio of colour to albedo
        ambient = torch.zeros_like(sh)
        seen = (w * reflect**2).sum(1)
        ratio = (w * reflect * colors).sum(1) / torch.where(seen > 0, seen, 1.0)
        ambient[:, 0] = torch.where(seen > 0, ratio, 1.0) / SH0
        # deviation from it, per channel: (B, 3, 9, 9) and (B, 3, 9)
        rows = basis[:, None] * (w * reflect**2).transpose(1, 2)[..., None]
        normal = rows.transpose(2, 3) @ basis[:, None]
        rest = (colors - reflect * (basis @ ambient)) * w * reflect
        right = rest.transpose(1, 2) @ basis
        scale = normal.diagonal(dim1=2, dim2=3).mean(-1)[..., None, None]
        system = normal / torch.where(scale > 0, scale, 1.0) + ridge * eye
        right = right[..., None] / torch.where(scale > 0, scale, 1.0)
        deviation = torch.linalg.solve(system, right)[..., 0].transpose(1, 2)
        enough = (points >= _FEWEST_POINTS)[:, None, None]
        sh = ambient + torch.where(enough, deviation, 0.0)
        residual = (colors - reflect * (basis @ sh)).norm(dim=-1)
        robust = residual.clamp_min(noise) ** -1.5
    return sh

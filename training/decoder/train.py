"""Training of the global-local decoder: codes and networks together, by shapes, skins and pictures of both.

Everybody that is learnt from has a code of their own (there is no encoder), which begins at the linear base's. A
picture is a skin under a random light on a shape, taken at the vertices: with the geometry known, nothing is gained by
pixels. Of shape and albedo each has a proxy: proxies are regularised, and pictures pair them as the paper does.

Source: Tran, Liu, Liu 2019, eq. 8 to 10 (regularisation, of proxies alone: eq. 13), 14 (residuals stay small), 15
(pairs of proxies and what they stand for), 16 (soft symmetry of what is not seen).
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch
from torch import Tensor, nn

from facefit.compute.sparse_map import SparseMap
from facefit.model.face_model import FaceModel
from facefit.render.harmonics import SH0
from facefit.render.lighting import shade, vertex_normals
from training.decoder.network import SIDE, Maps, VertexDecoder

logger = logging.getLogger(__name__)

BATCH = (2, 24)  # shapes, whose linear base is good already, and skins
PICTURES = 2  # of a batch; their normals take most of the time
RATE = 3e-3  # of networks and codes, falling to a tenth
BASE_RATE = 0.3  # part of it, of the linear base in its own scale
SHAPE_SCALE, SKIN_SCALE = 3.0, 0.2  # of the maps: mm, and parts of white (or logarithms)
ELSEWHERE = 0.1  # weight of a vertex that is not of the face
# A millimetre of shape counts as much as a twentieth of white.
SHAPE, SKIN, PICTURE = 1.0, 20.0, 10.0
SMOOTH, SYMMETRIC, CONSTANT, RESIDUAL, HIDDEN = 0.3, 0.05, 0.3, 0.02, 0.05
PRIOR = 1e-4  # on codes, whose unit is a deviation at the start
CHROMA = 10.0  # alpha of eq. 9


@dataclass(frozen=True)
class Trained:
    """Decoders with the codes (N, K) of the people that they have learnt from, and linear models of the same people:
    mean (C, 3) and basis (K, C, 3) per deviation, of shapes and of skins (of reflectance, not its logarithm)."""

    shape: VertexDecoder
    skin: VertexDecoder
    shape_codes: np.ndarray
    skin_codes: np.ndarray
    linear_shape: tuple[np.ndarray, np.ndarray]
    linear_skin: tuple[np.ndarray, np.ndarray]


def components(samples: np.ndarray, count: int, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components of (N, C, 3) samples under weights (C,): mean, basis (count, C, 3) per deviation, and the
    samples' codes (N, count)."""
    mean = samples.mean(0)
    flat = ((samples - mean) * np.sqrt(weight)[:, None]).reshape(len(samples), -1).astype(np.float64)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    order = np.argsort(values)[::-1][:count]
    codes = vectors[:, order] * np.sqrt(len(samples))
    basis = np.linalg.lstsq(codes, (samples - mean).reshape(len(samples), -1).astype(np.float64), rcond=None)[0]
    return mean, basis.reshape(len(order), *mean.shape).astype(np.float32), codes.astype(np.float32)


def train(
    shapes: np.ndarray, skins: np.ndarray, size: int, steps: int, model: FaceModel, upsample: SparseMap, maps: Maps,
    face: np.ndarray, logarithms: bool = False, seed: int = 0,
) -> Trained:  # fmt: skip
    """Decoders of codes of `size` numbers each.

    Args:
        shapes: (N, C, 3) mm. skins: (M, C, 3) reflectance. face: (C,) bool: vertices that count in full.
        logarithms: whether the decoder of skins makes logarithms of reflectance.
        model: whose triangles the subdivided shapes have; upsample: from control vertices to its vertices.
    """
    torch.manual_seed(seed)
    weight = np.where(face, 1, ELSEWHERE).astype(np.float32)
    shape_mean, shape_base, shape_codes = components(shapes, size, weight)
    tints = np.log(skins) if logarithms else skins
    tint_mean, tint_base, skin_codes = components(tints, size, weight)
    skin_mean, skin_base = components(skins, size, weight)[:2]
    shape = VertexDecoder(shape_mean, shape_base, maps, SHAPE_SCALE)
    skin = VertexDecoder(tint_mean, tint_base, maps, SKIN_SCALE, logarithms)
    tables = [nn.Parameter(torch.from_numpy(codes)) for codes in (shape_codes, skin_codes)]
    groups = [{"params": [*shape.maps.parameters(), *skin.maps.parameters(), *tables], "lr": RATE}]
    for each in (shape, skin):
        groups.append({"params": [each.base], "lr": RATE * BASE_RATE * float(each.base.detach().abs().mean())})
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.1 + 0.45 * (1 + math.cos(math.pi * step / steps))
    )  # fmt: skip
    known = [torch.from_numpy(values).float() for values in (shapes, skins)]
    counts = torch.from_numpy(weight / weight.sum())
    generator = torch.Generator().manual_seed(seed)
    began = time.perf_counter()
    for step in range(steps):
        rows = [
            torch.randint(len(values), (count,), generator=generator)
            for values, count in zip(known, BATCH, strict=True)
        ]
        made = [net(table[at]) for net, table, at in zip((shape, skin), tables, rows, strict=True)]
        truth = [values[at] for values, at in zip(known, rows, strict=True)]
        terms = {
            "shape": SHAPE * _l21(made[0][0] - truth[0], counts) + 0.5 * SHAPE * _l21(made[0][1] - truth[0], counts),
            "skin": SKIN * _l21(made[1][0] - truth[1], counts) + 0.5 * SKIN * _l21(made[1][1] - truth[1], counts),
            "regularisation": _regularisation(shape, skin, made, truth[1]),
            "pictures": PICTURE * _pictures(made, truth, model, upsample, counts, shape, generator),
            "prior": PRIOR * sum(table[at].square().sum(1).mean() for table, at in zip(tables, rows, strict=True)),
        }
        total = sum(terms.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            words = ", ".join(f"{name} {float(value.detach()):.3f}" for name, value in terms.items())
            logger.info("%d of %d, %.0f s: %s", step, steps, time.perf_counter() - began, words)
    codes = [table.detach().numpy() for table in tables]
    return Trained(shape.eval(), skin.eval(), *codes, (shape_mean, shape_base), (skin_mean, skin_base))


def _l21(difference: Tensor, counts: Tensor) -> Tensor:
    """Eq. 4, over vertices (B, C, 3) with weights that sum to 1."""
    return ((difference.square().sum(2) + 1e-10).sqrt() * counts).sum(1).mean()


def _regularisation(
    shape: VertexDecoder, skin: VertexDecoder, made: list[tuple[Tensor, ...]], colours: Tensor
) -> Tensor:
    """Eq. 8 to 10 on the proxies' offsets, eq. 14 on the residuals; the maps are their own texture space, where a
    neighbour is a neighbour and the mirror image a flip."""
    (_, _, bent, shape_residual), (_, _, tinted, skin_residual) = made
    around = nn.functional.avg_pool2d(bent, 3, 1, 1, count_include_pad=False)
    smooth = (bent - around).norm(dim=1).mean()
    symmetric = (tinted - tinted.flip(3)).abs().mean()
    chroma = nn.functional.normalize(_on_maps(skin, colours), dim=1)
    constant = torch.zeros(())
    for axis in (2, 3):
        along = tinted.diff(dim=axis).norm(dim=1)
        constant = constant + (torch.exp(-CHROMA * chroma.diff(dim=axis).norm(dim=1)) * along).mean()
    residual = shape_residual.abs().mean() + skin_residual.abs().mean()
    return SMOOTH * smooth + SYMMETRIC * symmetric + CONSTANT * constant + RESIDUAL * residual


def _on_maps(net: VertexDecoder, values: Tensor) -> Tensor:
    """(B, C, 3) at the vertices -> (B, 3, H, W): the mean of those around each cell; 0 where there are none."""
    flat = values.new_zeros(len(values), SIDE * SIDE, 4)
    with_one = torch.cat([values, torch.ones_like(values[..., :1])], 2)
    for corner in range(4):
        flat.index_add_(1, net.index[:, corner], with_one * net.share[:, corner, None])
    mean = flat[..., :3] / flat[..., 3:].clamp_min(1e-6)
    return mean.transpose(1, 2).reshape(len(values), 3, SIDE, SIDE)


def _pictures(
    made: list[tuple[Tensor, ...]], truth: list[Tensor], model: FaceModel, upsample: SparseMap, counts: Tensor,
    shape: VertexDecoder, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Eq. 15, without the pair of both, and eq. 16 on what is turned away from the camera."""
    sh = 0.25 * torch.randn(PICTURES, 9, 3, generator=generator)
    sh = sh * torch.tensor([1.0] * 4 + [0.3] * 5)[None, :, None]
    sh[:, 0] = 0.8 / SH0
    yaw = (torch.rand(PICTURES, generator=generator) - 0.5) * 2.0  # radians: the camera goes around to 57 degrees
    (whole, proxy, _, residual), (skin, plain, _, _) = [tuple(part[:PICTURES] for part in each) for each in made]
    # shapes at control vertices differ from the surface by what subdivision smooths: normals are those of the surface
    stacked = upsample(torch.cat([truth[0][:PICTURES], proxy, whole]))
    true, of_proxy, of_whole = vertex_normals(stacked, model.faces).split(PICTURES)
    colours = upsample(torch.cat([truth[1][:PICTURES], plain, skin]))
    true_skin, of_plain, of_skin = colours.split(PICTURES)
    image = shade(true_skin, true, sh)
    toward = torch.stack([yaw.sin(), torch.zeros_like(yaw), yaw.cos()], 1)
    seen = ((true @ toward[:, :, None])[..., 0] > 0.1).float()
    share = seen * upsample(counts[None, :, None])[..., 0]
    share = share / share.sum(1, keepdim=True)
    total = image.new_zeros(())
    for normals, albedo in ((of_proxy, of_plain), (of_proxy, of_skin), (of_whole, of_plain)):
        apart = (shade(albedo, normals, sh) - image).square().sum(2)
        total = total + ((apart + 1e-10).sqrt() * share).sum(1).mean()
    hidden = (toward[:, None, :1] * torch.linspace(-1, 1, SIDE)[None, None] < -0.3).float()[:, :, None]
    lopsided = (residual[:, 2:] - residual[:, 2:].flip(3)).abs()
    return total + HIDDEN * (hidden * lopsided).mean()

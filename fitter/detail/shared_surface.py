"""Uncalibrated photometric stereo on the face: one displacement and one albedo for all photos, a light for each.

    log luminance of a photo = log albedo + log (SH(normals of the displaced surface) light)

The unknowns are a displacement along the normals and the logarithm of the albedo, both fields on the patch with a
length and an amplitude of their own. The light of each photo is fitted robustly, then displacement and albedo of all
photos together by one sparse system, twice: further rounds drift along what light, albedo and a flatter face explain
alike (the bas-relief ambiguity, Belhumeur et al. 1999).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from ..compute.sparse_solve import factored
from ..render.harmonics import SH0, SH1, SH2, SH2_XX, SH2_ZZ, sh_basis
from .patch import Patch
from .samples import PatchSample

ROUNDS = 2

_Photo = tuple[np.ndarray, np.ndarray, PatchSample, sparse.csr_matrix, sparse.csr_matrix]


@dataclass(frozen=True)
class SurfaceWeights:
    """What is believed before any photo is looked at.

    Attributes:
        displacement: mm, standard deviation; length: mm, over which it varies.
        albedo: of the logarithm, standard deviation; albedo_length: mm, over which it varies.
        noise: of a log luminance, photo and light model together; residuals beyond twice of it count linearly.
        place: mm, by how much the fit misses a place in a photo: where luminance changes quickly along the surface that
            is noise too. Without it the sides of a nose that lies 2 mm off become dents (normals of two scans by 7.3
            and 6.8 degrees instead of 7.1 and 6.7, bands of 12 to 24 mm with the wrong sign).
        edges: how much more readily albedo changes where chromaticity does: for each 0.1 a millimetre of it the
            stiffness falls by the factor e.
    """

    displacement: float = 0.4
    length: float = 4.0
    albedo: float = 0.08
    albedo_length: float = 6.0
    noise: float = 0.1
    place: float = 2.0
    edges: float = 6.0


@dataclass(frozen=True)
class SharedSurface:
    """What was found on N vertices.

    Attributes:
        displacement: (N,) mm along the normals. albedo: (N,) logarithm, up to a constant.
        lights: (P, 9) SH coefficients of the luminance of each photo.
        driven, driven_albedo: (D,) the unknowns of `Driven`; empty without.
    """

    displacement: np.ndarray
    albedo: np.ndarray
    lights: np.ndarray
    driven: np.ndarray
    driven_albedo: np.ndarray


@dataclass(frozen=True)
class Driven:
    """Further fields of displacement and of albedo, of which each photo shows another share.

    Attributes:
        share: (N, D) for each photo: how far an unknown counts at a vertex. rows: places of a field's unknowns in the
            patch, D in all; where a field ends it is 0.
        displacement, albedo: standard deviations of each field, mm and of the logarithm. No `displacement`: fields of
            albedo alone.
        length: mm, over which they vary.
    """

    share: Sequence[sparse.csr_matrix]
    rows: Sequence[np.ndarray]
    displacement: Sequence[float]
    albedo: Sequence[float]
    length: float

    def prior(self, patch: Patch, deviations: Sequence[float]) -> sparse.csr_matrix:
        """(D, D) precision of the fields, or (0, 0)."""
        unit = _prior(patch, patch.stiffness, 1.0, self.length)
        own = [unit[rows][:, rows] / deviation**2 for rows, deviation in zip(self.rows, deviations, strict=False)]
        return sparse.block_diag(own, "csr") if own else sparse.csr_matrix((0, 0))


def solve_surface(
    patch: Patch, samples: Sequence[PatchSample], albedo: np.ndarray, weights: SurfaceWeights, rounds: int = ROUNDS,
    driven: Driven | None = None,
) -> SharedSurface:  # fmt: skip
    """Displacement and albedo that explain the photos.

    Args:
        albedo: (N,) logarithm of the luminance of the fitted albedo, the middle of its prior.
        rounds: of lights and fields; one is less exact by little.
        driven: what the photos do not have in common; None: nothing.
    """
    return _Solver(patch, samples, albedo, weights, driven).solve(rounds)


class _Solver:
    def __init__(
        self, patch: Patch, samples: Sequence[PatchSample], albedo: np.ndarray, weights: SurfaceWeights,
        driven: Driven | None,
    ) -> None:  # fmt: skip
        self.patch, self.base, self.weights = patch, albedo, weights
        self.samples = samples
        self.seen = [sample.luminance for sample in samples]
        self.counted = [sample.weight * patch.skin for sample in samples]
        self.of_displacement = _prior(patch, patch.stiffness, weights.displacement, weights.length)
        stiffness = _edge_aware(patch, mean_chromaticity(samples), weights.edges) if weights.edges else patch.stiffness
        self.of_albedo = _prior(patch, stiffness, weights.albedo, weights.albedo_length)
        # what the unknowns of displacement and albedo do in each photo
        self.spread = [sparse.diags(patch.fade, format="csr")] * len(samples)
        self.paint = [sparse.eye(patch.count, format="csr")] * len(samples)
        if driven is not None:
            self.of_albedo = _beside(self.of_albedo, driven.prior(patch, driven.albedo))
            self.paint = [sparse.hstack([self.paint[0], share]).tocsr() for share in driven.share]
        if driven is not None and len(driven.displacement):
            self.of_displacement = _beside(self.of_displacement, driven.prior(patch, driven.displacement))
            self.spread = [sparse.hstack([self.spread[0], share]).tocsr() for share in driven.share]

    def solve(self, rounds: int) -> SharedSurface:
        patch, count = self.patch, self.patch.count
        raised, painted = np.zeros(self.of_displacement.shape[0]), np.zeros(self.of_albedo.shape[0])
        for _ in range(rounds):
            lights = [
                fit_light(seen, counted, self.base + paint @ painted, tilted(patch, spread @ raised, sample.turn))
                for seen, counted, sample, spread, paint in self._photos()
            ]
            raised, painted = self._fields(raised, painted, lights)
        return SharedSurface(
            patch.fade * raised[:count], self.base + painted[:count], np.stack(lights), raised[count:], painted[count:]
        )

    def _photos(self) -> Iterator[_Photo]:
        return zip(self.seen, self.counted, self.samples, self.spread, self.paint, strict=True)

    def _fields(
        self, raised: np.ndarray, painted: np.ndarray, lights: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """One linear solution: all fields under the present lights, the albedo's as what `base` lacks.

        The unknown is the displacement before it is faded at the borders, so that what lies beside them is explained
        with the fade in place.
        """
        patch, count, weights = self.patch, len(raised), self.weights
        among, across, own = (
            self.of_displacement.copy(),
            sparse.csr_matrix((count, len(painted))),
            self.of_albedo.copy(),
        )
        right, right_own = np.zeros(count), np.zeros(len(painted))
        for (seen, counted, sample, spread, paint), light in zip(self._photos(), lights, strict=True):
            shade, jacobian = shading(patch, spread @ raised, sample.turn, light)
            jacobian = jacobian @ spread
            albedo, left = self.base + paint @ painted, seen - np.log(shade)
            unsure = unsureness(patch, np.log(shade) + albedo, weights)
            weight = counted / np.maximum(np.abs(left - albedo) / (2 * unsure), 1) / unsure**2
            known = weight * (left + jacobian @ raised - self.base)
            diagonal = sparse.diags(weight)
            among = among + jacobian.T @ diagonal @ jacobian
            across = across + jacobian.T @ diagonal @ paint
            own = own + paint.T @ diagonal @ paint
            right += jacobian.T @ known
            right_own += paint.T @ known
        both = factored(sparse.bmat([[among, across], [across.T, own]])).solve(np.concatenate([right, right_own]))
        return both[:count], both[count:]


def _beside(first: sparse.csr_matrix, second: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.block_diag([first, second], "csr")


def unsureness(patch: Patch, expected: np.ndarray, weights: SurfaceWeights) -> np.ndarray:
    """(N,) standard deviation of log luminances (N,): noise, and by how much the fit misses a place."""
    slope = np.stack([part @ expected for part in patch.gradient], 1)
    return np.hypot(weights.noise, weights.place * np.linalg.norm(slope, axis=1))


def _prior(patch: Patch, stiffness: sparse.csr_matrix, deviation: float, length: float) -> sparse.csr_matrix:
    """Precision of a Matern-like field: (M + l^2 K) M^-1 (M + l^2 K), scaled so that a value has this deviation.

    Source: Lindgren, Rue and Lindstroem 2011, sec. 2.3 (two dimensions, smoothness 1).
    """
    root = sparse.diags(patch.mass) + length**2 * stiffness
    return (root @ sparse.diags(1 / patch.mass) @ root) / (deviation**2 * 4 * np.pi * length**2)


def mean_chromaticity(samples: Sequence[PatchSample]) -> np.ndarray:
    """(N, 3) of the photos that show a vertex, each photo's own cast taken off."""
    total, weight = np.zeros_like(samples[0].colour), np.zeros((len(samples[0].weight), 1))
    for sample in samples:
        sure = sample.weight > 0.5
        cast = np.median(sample.chromaticity[sure], 0) if sure.any() else np.zeros(3)
        total = total + sample.weight[:, None] * (sample.chromaticity - cast)
        weight = weight + sample.weight[:, None]
    return total / np.maximum(weight, 1e-3)


def _edge_aware(patch: Patch, chromaticity: np.ndarray, strength: float) -> sparse.csr_matrix:
    """The stiffness, softer across edges of chromaticity: paint, not shape (Land and McCann 1971)."""
    first, second = patch.edges.T
    change = np.linalg.norm(chromaticity[first] - chromaticity[second], axis=1)
    soft = np.exp(-strength * 10 * change / patch.spacing)
    stiff = np.maximum(-np.asarray(patch.stiffness[first, second]).reshape(-1), 1e-3) * soft
    row, column = np.concatenate([first, second]), np.concatenate([second, first])
    off = sparse.coo_matrix((np.concatenate([-stiff, -stiff]), (row, column)), (patch.count, patch.count)).tocsr()
    return off - sparse.diags(np.asarray(off.sum(1)).reshape(-1))


def tilted(patch: Patch, displacement: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """(N, 3) unit normals of the displaced patch in a photo's camera space."""
    slope = np.stack([part @ displacement for part in patch.gradient], 1)
    normal = patch.normals - slope + (slope * patch.normals).sum(1, keepdims=True) * patch.normals
    normal = np.einsum("nij,nj->ni", turn, normal)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def shading(
    patch: Patch, displacement: np.ndarray, turn: np.ndarray, light: np.ndarray
) -> tuple[np.ndarray, sparse.csr_matrix]:
    """The luminance (N,) of white skin under a light (9,), and d log of it / d displacement (N, N)."""
    shade, by_slope = lit_slopes(patch, displacement, turn, light)
    jacobian = sum(sparse.diags(by_slope[:, k]) @ patch.gradient[k] for k in range(3))
    return shade, jacobian.tocsr()


def lit_slopes(
    patch: Patch, displacement: np.ndarray, turn: np.ndarray, light: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The luminance (N,) of white skin under a light (9,), and d log of it / d slope of the surface (N, 3), which is
    the gradient of a displacement."""
    normal = tilted(patch, displacement, turn)
    shade = sh_basis(torch.from_numpy(normal)).numpy() @ light
    lowest = 0.05 * np.median(np.maximum(shade, 1e-3))
    by_normal = np.einsum("nkc,k->nc", _basis_slopes(normal), light) / np.maximum(shade, lowest)[:, None]
    by_normal -= (by_normal * normal).sum(1, keepdims=True) * normal
    by_neutral = np.einsum("nij,ni->nj", turn, by_normal)
    by_neutral -= (by_neutral * patch.normals).sum(1, keepdims=True) * patch.normals
    return np.maximum(shade, lowest), -by_neutral


def _basis_slopes(normal: np.ndarray) -> np.ndarray:
    """(N, 3) -> (N, 9, 3): the derivatives of `sh_basis`."""
    x, y, z = normal.T
    out = np.zeros((len(normal), 9, 3))
    out[:, 1, 1], out[:, 2, 2], out[:, 3, 0] = SH1, SH1, SH1
    out[:, 4, 0], out[:, 4, 1] = SH2 * y, SH2 * x
    out[:, 5, 1], out[:, 5, 2] = SH2 * z, SH2 * y
    out[:, 6, 2] = 6 * SH2_ZZ * z
    out[:, 7, 0], out[:, 7, 2] = SH2 * z, SH2 * x
    out[:, 8, 0], out[:, 8, 1] = 2 * SH2_XX * x, -2 * SH2_XX * y
    return out


def fit_light(
    luminance: np.ndarray, weight: np.ndarray, albedo: np.ndarray, normals: np.ndarray, *,
    ridge: float = 2e-3, iterations: int = 8,
) -> np.ndarray:  # fmt: skip
    """The light (9,) of a photo: SH(normals) light = luminance by albedo, robustly.

    Args:
        luminance, albedo: (N,) logarithms. weight: (N,). normals: (N, 3) camera space.
        ridge: relative to the mean diagonal, towards ambient light: a face shows half of all normals.
    """
    ratio = np.exp(luminance - albedo)
    basis = sh_basis(torch.from_numpy(normals)).numpy()
    robust, light = np.ones_like(ratio), np.zeros(9)
    for _ in range(iterations):
        counted = weight * robust
        normal = basis.T @ (basis * counted[:, None])
        ambient = np.zeros(9)
        ambient[0] = (counted * ratio).sum() / max(counted.sum(), 1e-9) / SH0
        damped = normal + (ridge * np.trace(normal) / 9 + 1e-12) * np.eye(9)
        light = ambient + np.linalg.solve(damped, basis.T @ (counted * (ratio - basis @ ambient)))
        off = np.abs(ratio - basis @ light) / np.maximum(ratio, 0.05)
        robust = 1 / np.maximum(off, 0.05)
    return light

"""Colours of skin, lips, brows, eyes and mouth for a model that has no scanned albedo.

Skin is a two-layer absorption model: light passes twice through an epidermis that melanin darkens and is scattered back
by a dermis that blood reddens.

Sources: S. L. Jacques, "Optical properties of biological tissues: a review", Phys. Med. Biol. 58 (2013), R37:
melanosome absorption 6.6e11 lambda^-3.33 / cm, bloodless skin 0.244 + 85.3 exp(-(lambda - 154) / 66.2) / cm, and the
diffuse reflectance approximation R = exp(-A / sqrt(3 (1 + mu_s' / mu_a))); S. Prahl's tabulated haemoglobin extinction.
No photo or scan of a person enters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..geometry.mesh_graph import polygon_sides

WAVELENGTHS = np.array([610.0, 550.0, 465.0])  # nm, the dominant wavelengths of the sRGB primaries
_OXY = np.array([1506.0, 43016.0, 38500.0])  # 1 / (cm M)
_DEOXY = np.array([9443.0, 53412.0, 18700.0])
_EPIDERMIS_CM = 0.006
_SCATTERING = 46.0 * (WAVELENGTHS / 500.0) ** -1.42  # reduced, 1/cm; Jacques 2013, table 1, skin
_INTERNAL_REFLECTION = 6.5

# Range of the population: log-uniform melanosome fraction, uniform blood fraction (Jacques 2013, sec. 4)
MELANIN_RANGE = (0.012, 0.38)
BLOOD_RANGE = (0.002, 0.009)


def skin_reflectance(melanin: npt.ArrayLike, blood: npt.ArrayLike) -> np.ndarray:
    """Volume fractions of melanosomes in the epidermis and of blood in the dermis, each (...) -> (..., 3) linear
    reflectance of red, green and blue."""
    melanin, blood = (np.asarray(fraction, float)[..., None] for fraction in (melanin, blood))
    bloodless = 0.244 + 85.3 * np.exp(-(WAVELENGTHS - 154.0) / 66.2)
    epidermis = melanin * 6.6e11 * WAVELENGTHS**-3.33 + (1 - melanin) * bloodless
    haemoglobin = 2.303 * (150.0 / 64500.0) * (0.75 * _OXY + 0.25 * _DEOXY)
    dermis = blood * haemoglobin + (1 - blood) * bloodless
    diffuse = np.exp(-_INTERNAL_REFLECTION / np.sqrt(3 * (1 + _SCATTERING / dermis)))
    return diffuse * np.exp(-2 * epidermis * _EPIDERMIS_CM)


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1 transfer function, linear -> encoded, each (...) in [0, 1]."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def skin_tone_basis(count: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean (3,) and two directions (2, 3), per standard deviation, of encoded skin colours over the population."""
    rng = np.random.default_rng(seed)
    low, high = np.log(MELANIN_RANGE)
    melanin = np.exp(rng.uniform(low, high, count))
    colours = encode_srgb(skin_reflectance(melanin, rng.uniform(*BLOOD_RANGE, count)))
    mean = colours.mean(0)
    _, scale, rows = np.linalg.svd(colours - mean, full_matrices=False)
    rows = rows[:2] * np.sign(rows[:2].sum(1, keepdims=True))
    return mean, rows * (scale[:2, None] / np.sqrt(count))


def blush_direction() -> np.ndarray:
    """(3,) change of encoded colour when the blood fraction goes from its mean to its upper end, at medium melanin."""
    medium = np.exp(np.mean(np.log(MELANIN_RANGE)))
    low, high = np.mean(BLOOD_RANGE), BLOOD_RANGE[1]
    return encode_srgb(skin_reflectance(medium, high)) - encode_srgb(skin_reflectance(medium, low))


# Encoded sRGB of what is not skin. Plain choices, named so that they can be argued with.
LIP = np.array([0.66, 0.40, 0.38])
BROW = np.array([0.27, 0.19, 0.14])
SCLERA = np.array([0.75, 0.71, 0.68])
IRIS = np.array([0.30, 0.22, 0.16])
PUPIL = np.array([0.03, 0.03, 0.03])
MOUTH = np.array([0.55, 0.25, 0.24])
TONGUE = np.array([0.64, 0.34, 0.34])
TEETH = np.array([0.80, 0.76, 0.68])
GUMS = np.array([0.68, 0.40, 0.39])
MOIST = np.array([0.76, 0.53, 0.49])  # the margins of the lids and the corners of the eyes


def albedo_model(
    masks: dict[str, np.ndarray], verts: np.ndarray, eigenmodes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Mean albedo and basis over vertices.

    Args:
        masks: (V,) weights in [0, 1]: skin, lips, right_brow, left_brow, beard, blush, eyelid, right_iris, left_iris,
            pupil, sclera, moist, mouth, tongue, teeth, gums. They sum to about 1 with skin underneath. `shade`: share
            of the light that does not get there.
        verts: (V, 3) mm; eigenmodes: (V, M) smooth functions over the skin, unit variance.
    Returns:
        (V, 3) mean, (A, V, 3) basis per standard deviation, names of the components.
    """
    tone, tone_basis = skin_tone_basis()
    skin = masks["skin"]
    brow = np.maximum(masks["right_brow"], masks["left_brow"])
    iris = np.maximum(masks["right_iris"], masks["left_iris"])
    painted = {
        "lips": LIP, "sclera": SCLERA, "mouth": MOUTH, "tongue": TONGUE, "teeth": TEETH, "gums": GUMS,
        "moist": MOIST,
    }  # fmt: skip
    mean = np.tile(tone, (len(verts), 1))
    mean += masks["blush"][:, None] * blush_direction() * 0.6
    for name, colour in painted.items():
        mean = mean * (1 - masks[name][:, None]) + masks[name][:, None] * colour
    mean = mean * (1 - iris[:, None]) + iris[:, None] * IRIS
    mean = mean * (1 - masks["pupil"][:, None]) + masks["pupil"][:, None] * PUPIL
    mean = mean * (1 - 0.75 * brow[:, None]) + 0.75 * brow[:, None] * BROW

    mean = mean * (1 - masks["shade"][:, None])

    flesh = np.clip(skin + 0.8 * masks["lips"], 0, 1) * (1 - 0.6 * brow)
    basis, names = [], []

    def add(name: str, weight: np.ndarray, colour: npt.ArrayLike) -> None:
        basis.append(weight[:, None] * np.asarray(colour))
        names.append(name)

    add("melanin", flesh, tone_basis[0])
    add("blood", flesh, tone_basis[1])
    add("blush", masks["blush"] * skin, blush_direction() * 0.7)
    add("beard", masks["beard"], [-0.10, -0.09, -0.075])
    add("eyelid shade", masks["eyelid"] * skin, [-0.07, -0.07, -0.05])
    add("lip darkness", masks["lips"], [-0.07, -0.07, -0.065])
    add("lip redness", masks["lips"], [0.04, -0.05, -0.03])
    add("brow darkness", brow, [-0.14, -0.13, -0.11])
    add("brow hue", brow, [0.05, 0.0, -0.05])
    add("iris lightness", iris, [0.10, 0.12, 0.13])
    add("iris hue", iris, [0.06, 0.0, -0.07])
    add("sclera lightness", masks["sclera"], [0.10, 0.10, 0.10])
    lit = 1 - masks["shade"]
    add("mouth lightness", np.maximum(masks["mouth"], masks["tongue"]) * lit, [0.12, 0.07, 0.07])
    add("teeth lightness", masks["teeth"] * lit, [0.10, 0.10, 0.10])
    for k in range(eigenmodes.shape[1]):
        # smooth lightness: decreasing with frequency; the odd ones leave the albedo-symmetry energy something to say
        strength = 0.022 / np.sqrt(1 + k / 3)
        add(f"smooth lightness {k + 1}", eigenmodes[:, k] * flesh, np.array([1.0, 0.95, 0.9]) * strength)
    for k in range(min(6, eigenmodes.shape[1])):
        redness = np.array([0.3, -1.0, -0.8]) * 0.008 / np.sqrt(1 + k / 3)
        add(f"smooth redness {k + 1}", eigenmodes[:, k] * flesh, redness)
    return mean, np.stack(basis), names


def laplacian_modes(verts: np.ndarray, faces: np.ndarray, count: int) -> np.ndarray:
    """The `count` smoothest non-constant eigenvectors of the surface's graph Laplacian, (V, count), unit variance.

    Args:
        verts: (V, 3) mm; faces: (F, 3).

    Signs are fixed by the product with a function that has no symmetry, so that a rebuild gives the same arrays; the
    largest entry would not do, for a mode of a symmetric head has it twice.
    """
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import eigsh

    pairs = polygon_sides(faces)  # an inner edge twice: it holds two triangles together
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    weight = 1 / np.maximum(np.linalg.norm(verts[pairs[:, 0]] - verts[pairs[:, 1]], axis=1), 0.1)
    adjacency = coo_matrix((weight, (pairs[:, 0], pairs[:, 1])), shape=(len(verts),) * 2).tocsr()
    laplacian = diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency
    _, modes = eigsh(laplacian.tocsc(), k=count + 1, sigma=-1e-3, which="LM", v0=np.ones(len(verts)))
    modes = modes[:, 1 : count + 1]
    modes = modes / modes.std(0)
    x, y, z = (verts / np.abs(verts).max()).T
    lopsided = np.exp(0.7 * x + 0.4 * y + 0.2 * z) + np.sin(5 * x + 3 * y) + np.cos(7 * y - 4 * z + 2 * x)
    return modes * np.sign(modes.T @ lopsided)

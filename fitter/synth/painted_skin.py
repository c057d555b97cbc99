"""Paint for rendered heads: colours and exact labels of skin, brows, lips, eyes, teeth and beard in the painting frame.

All tables are millimetres of the painting frame (facefit.synth.heads). Where the label boundaries of nose, lips and
brows lie follows the masks that ICT-FaceKit's evaluation renders come with: the nose from the root between the eyes
over the wings to its base, the brow as a full band (also where its hair is thin), eyes as the eyeball between the lids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..anatomy.parts import LABEL
from ..importers.skin import BLOOD_RANGE, MELANIN_RANGE, encode_srgb, skin_reflectance
from .backgrounds import noise_texture, random_color, sample_noise
from .heads import EYE_LEFT, EYE_RIGHT, MOUTH, SKIN, TEETH

# half width of the nose by height
_NOSE_Y = (-13.6, -12.7, -11.5, -10, -6, -4, 0, 4, 8, 12, 16, 20, 24, 28, 32, 35, 38)
_NOSE_HALF = (0, 9, 13.5, 18, 21.2, 21.6, 20, 17.4, 14.8, 12.6, 10.7, 9.3, 8.2, 7.3, 6.9, 6, 3)
# outlines of the closed lips by distance from the middle
_LIP_X = (0, 7, 12, 17, 22, 25.8)
_LIP_TOP = (-24.3, -24.1, -25.1, -27, -30.3, -34.8)
_LIP_MIDDLE = (-33.5, -33.5, -33.8, -34.1, -34.3, -34.8)
_LIP_BOTTOM = (-43.9, -43.5, -42.9, -41.5, -38.4, -34.8)
# middle line and half width of the brow by distance from the middle
_BROW_X = (9.2, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 58)
_BROW_Y = (51.8, 52, 52.8, 53.8, 54.6, 55.1, 55.4, 55.5, 55.2, 54.6, 53.5, 51.6, 49, 47.7)
_BROW_HALF = (1.5, 3.5, 4, 4.1, 3.9, 3.7, 3.6, 3.5, 3.3, 3.1, 2.8, 2.5, 2, 0)
# the beard's upper edge by distance from the middle
_BEARD_X = (0, 25, 40, 60, 72, 80)
_BEARD_Y = (-14, -16, -34, -28, 0, 25)
# the jaw's edge: what lies lower is neck; by depth
_JAW_Z = (-20, 10, 30, 60, 85, 105, 130)
_JAW_Y = (-22, -30, -48, -66, -74, -79, -80)

_IRISES = ((0.28, 0.17, 0.10), (0.18, 0.11, 0.08), (0.42, 0.28, 0.14), (0.35, 0.42, 0.25), (0.35, 0.5, 0.62),
           (0.45, 0.5, 0.52), (0.12, 0.09, 0.08))  # fmt: skip
_HAIRS = ((0.05, 0.045, 0.04), (0.09, 0.07, 0.055), (0.18, 0.12, 0.08), (0.30, 0.20, 0.12), (0.45, 0.32, 0.18),
          (0.66, 0.52, 0.33), (0.42, 0.18, 0.08), (0.45, 0.44, 0.43), (0.82, 0.8, 0.77))  # fmt: skip


def hair_color(rng: np.random.Generator) -> np.ndarray:
    """(3,) float32: natural hair, now and then dyed."""
    if rng.random() < 0.05:
        return random_color(rng, 0.1, 0.8, 1.0)
    weight = np.array([5, 5, 4, 3, 2, 2, 1, 2, 1], float)
    color = np.array(_HAIRS[rng.choice(len(_HAIRS), p=weight / weight.sum())])
    return np.clip(color * rng.uniform(0.75, 1.25) + rng.normal(0, 0.01, 3), 0.01, 0.95).astype(np.float32)


@dataclass(frozen=True)
class Surface:
    """What the camera sees, per pixel of an (S, S) photo: painting frame (S, S, 3) mm, kind (S, S) of surface with
    255 for none, ear (S, S) share, lips (S, S, 3) share of upper lip, lower lip and mouth inside or None, eye (S, S, 3)
    position on the eyeball relative to its centre before it turned, lid as in Head."""

    paint: np.ndarray
    kind: np.ndarray
    ear: np.ndarray
    lips: np.ndarray | None
    eye: np.ndarray
    lid: np.ndarray


@dataclass(frozen=True)
class Brows:
    """One person's brows: shift (2,) mm outwards and upwards, width and arch factors, colour, density."""

    shift: tuple[float, float]
    width: float
    arch: float
    color: np.ndarray
    density: float


def random_brows(hair: np.ndarray, rng: np.random.Generator) -> Brows:
    """Mostly of the colour (3,) of the hair."""
    color = np.clip(hair * rng.uniform(0.5, 1.1), 0.02, 0.6)
    if rng.random() < 0.3:
        color = hair_color(rng) * 0.7
    return Brows(
        (float(rng.normal(0, 1.2)), float(rng.normal(0, 1.3))), float(rng.uniform(0.75, 1.35)),
        float(rng.normal(1, 0.3)), color.astype(np.float32), float(rng.uniform(0.35, 1.0)),
    )  # fmt: skip


def brow_band(paint: np.ndarray, brows: Brows) -> np.ndarray:
    """(S, S) float32: 1 on the middle line of a brow, 0 at its edge, negative outside."""
    across = np.abs(paint[..., 0]) - brows.shift[0]
    middle = 53.5 + (np.interp(across, _BROW_X, _BROW_Y) - 53.5) * brows.arch + brows.shift[1]
    half = np.interp(across, _BROW_X, _BROW_HALF, left=0, right=0) * brows.width
    band = 1 - np.abs(paint[..., 1] - middle) / np.maximum(half, 1e-3)
    inside = (across > _BROW_X[0]) & (across < _BROW_X[-1]) & (paint[..., 2] > 50)
    return np.where(inside, band, -1).astype(np.float32)


def label_surface(surface: Surface, band: np.ndarray) -> np.ndarray:
    """(S, S) uint8 labels (facefit.anatomy.parts.LABELS) of the head without hair; `band` of `brow_band`."""
    x, y, z = np.moveaxis(surface.paint, -1, 0)
    across = np.abs(x)
    labels = np.full(x.shape, LABEL["skin"], np.uint8)
    labels[(y < np.interp(z, _JAW_Z, _JAW_Y)) | ((z < -20) & (y < -22))] = LABEL["neck"]
    labels[(surface.ear > 0.5) & (y > -60)] = LABEL["ear"]
    labels[(across < np.interp(y, _NOSE_Y, _NOSE_HALF, left=0, right=0)) & (z > 95)] = LABEL["nose"]
    labels[band > 0] = np.where(x < 0, LABEL["right_brow"], LABEL["left_brow"])[band > 0]
    if surface.lips is None:
        lips = (across < _LIP_X[-1]) & (z > 85)
        middle = np.interp(across, _LIP_X, _LIP_MIDDLE)
        labels[lips & (y >= middle) & (y < np.interp(across, _LIP_X, _LIP_TOP))] = LABEL["upper_lip"]
        labels[lips & (y < middle) & (y > np.interp(across, _LIP_X, _LIP_BOTTOM))] = LABEL["lower_lip"]
    else:
        share = surface.lips
        best = share.argmax(-1)
        for number, name in enumerate(("upper_lip", "lower_lip", "mouth_inside")):
            labels[(best == number) & (share.sum(-1) > 0.5)] = LABEL[name]
    inside = np.isin(surface.kind, (MOUTH, TEETH))
    labels[inside] = LABEL["mouth_inside"]
    socket = inside & (y > 8)  # the pocket around the eyeball shows as the eye's wet edge
    labels[socket] = np.where(x < 0, LABEL["right_eye"], LABEL["left_eye"])[socket]
    labels[surface.kind == EYE_RIGHT] = LABEL["right_eye"]
    labels[surface.kind == EYE_LEFT] = LABEL["left_eye"]
    labels[surface.kind == 255] = LABEL["background"]
    return labels


def skin_coordinates(paint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., 3) mm on the mean head -> (...) mm around it and along it: where skin and hair textures are looked up."""
    return np.arctan2(paint[..., 0], paint[..., 2] - 20) * 85, paint[..., 1]


def skin_tone(rng: np.random.Generator) -> np.ndarray:
    """(3,) float32 sRGB-encoded, fair to very dark alike."""
    melanin = np.exp(rng.uniform(*np.log(MELANIN_RANGE)))
    tone = encode_srgb(skin_reflectance(melanin, rng.uniform(*BLOOD_RANGE)))
    return np.clip(tone * rng.uniform(0.9, 1.1) + rng.normal(0, 0.012, 3), 0.05, 0.97).astype(np.float32)


def paint_surface(
    surface: Surface,
    labels: np.ndarray,
    band: np.ndarray,
    tone: np.ndarray,
    hair: np.ndarray,
    brows: Brows,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Colours of the head without hair.

    Args:
        surface, labels, band: what is seen and what it is.
        tone: (3,) skin; hair: (3,) of beard and stubble.
    Returns:
        (S, S, 3) float32 sRGB-encoded reflectance, and (S, S) float32 gloss.
    """  # fmt: skip
    x, y, z = np.moveaxis(surface.paint, -1, 0)
    around, along = skin_coordinates(surface.paint)
    start = rng.uniform(0, 512, 2)
    coarse = sample_noise(noise_texture(2.0, 1), around * 1.3 + start[0], along * 1.3 + start[1])
    medium = sample_noise(noise_texture(1.2, 2), around * 1.5 + start[1], along * 1.5 + start[0])
    fine = sample_noise(noise_texture(0.5, 3), around * 2.2 + start[0], along * 2.2)
    albedo: np.ndarray = np.broadcast_to(tone, (*x.shape, 3)).astype(np.float32)
    light = 1 + rng.uniform(0.01, 0.06) * coarse + rng.uniform(0.01, 0.05) * medium + rng.uniform(0, 0.04) * fine
    albedo = albedo * light[..., None]
    # blood: cheeks, tip of the nose, ears, chin
    cheeks = np.exp(-(((np.abs(x) - 42) / 20) ** 2) - (y / 22) ** 2)
    blush = (cheeks + np.exp(-((x / 14) ** 2) - ((y - 2) / 12) ** 2) + 0.7 * surface.ear + 0.25 * coarse) * rng.uniform(
        0, 0.14
    )
    albedo = albedo * (1 - blush[..., None] * np.array([-0.15, 1.0, 0.8], np.float32))
    # around the eyes
    ring = np.exp(-(((np.abs(x) - 31) / 17) ** 2) - ((y - 33) / 12) ** 2)
    albedo = albedo * (1 - ring[..., None] * rng.uniform(0, 0.25))
    if rng.random() < 0.15:  # freckles and moles
        grains = sample_noise(noise_texture(0.9, 4), around * 2, along * 2 + start[0])
        spots = np.clip(grains - rng.uniform(1.2, 2), 0, 1)
        albedo = albedo * (1 - spots[..., None] * np.array([0.25, 0.4, 0.5], np.float32))
    if rng.random() < 0.2:  # wrinkles of the forehead
        wave = np.sin(y * rng.uniform(0.5, 0.9) + coarse) * np.exp(-((x / 45) ** 2) - ((y - 78) / 14) ** 2)
        albedo = albedo * (1 - 0.15 * np.clip(wave, 0, 1)[..., None])
    made_up = rng.random() < 0.25
    if made_up:
        shadow = np.exp(-(((np.abs(x) - 33) / 14) ** 2) - ((y - 41) / 6) ** 2)[..., None] * rng.uniform(0.2, 0.8)
        albedo = albedo * (1 - shadow) + shadow * random_color(rng, 0.1, 0.6)
    albedo = _beard(albedo, x, y, z, labels, hair, start, rng)

    lip = np.array([0.72, 0.38, 0.36]) * rng.uniform(0.6, 1.2) * (0.35 + 0.65 * tone / 0.75)
    if made_up or rng.random() < 0.1:
        lip = np.array([rng.uniform(0.3, 0.85), rng.uniform(0.02, 0.4), rng.uniform(0.05, 0.45)])
    elif rng.random() < 0.3:
        lip = lip * 0.3 + tone * 0.7 * np.array([0.98, 0.85, 0.85])
    lips = np.isin(labels, (LABEL["upper_lip"], LABEL["lower_lip"]))
    lines = 1 + 0.07 * sample_noise(noise_texture(0.7, 5, 6.0), x * 6, y * 2)
    albedo[lips] = (np.clip(lip, 0.02, 1).astype(np.float32) * lines[..., None])[lips]
    if rng.random() < 0.5:
        albedo[labels == LABEL["upper_lip"]] *= rng.uniform(0.75, 1)

    strokes = sample_noise(noise_texture(0.6, 6, 5.0), (x + np.sign(x) * y * 0.7) * 4, (y - np.abs(x) * 0.6) * 2)
    cover = np.clip(band * rng.uniform(1.5, 4) + 0.35 * strokes, 0, 1) * np.clip(0.75 + 0.45 * strokes, 0, 1)
    cover = np.where(band > -0.15, cover * brows.density, 0)[..., None].astype(np.float32)
    albedo = albedo * (1 - cover) + brows.color * cover

    albedo = albedo * (1 - _lashes(surface, made_up, rng)[..., None])

    inside = surface.kind == MOUTH
    red = np.array([0.45, 0.16, 0.15], np.float32) * rng.uniform(0.3, 1.3)
    depth = np.clip((z - 70) / 35, 0.08, 1)[..., None]
    albedo[inside] = (red * depth * (1 + 0.1 * medium[..., None]))[inside]
    teeth = surface.kind == TEETH
    white = np.array([0.95, 0.92, 0.84], np.float32) * rng.uniform(0.65, 1.05)
    albedo[teeth] = (white * np.clip((z - 65) / 25, 0.3, 1)[..., None])[teeth]
    socket = np.isin(labels, (LABEL["right_eye"], LABEL["left_eye"])) & inside
    albedo[socket] = tone * np.array([0.9, 0.6, 0.55], np.float32)

    gloss = np.where(lips, 1.5, 1.0).astype(np.float32)
    gloss[inside | teeth] = 0.6
    return _eyes(albedo, gloss, surface, rng)


def _lashes(surface: Surface, made_up: bool, rng: np.random.Generator) -> np.ndarray:
    """(S, S) how much the lashes and the crease above them darken the upper lid, open or shut."""
    x, y, z = np.moveaxis(surface.paint, -1, 0)
    across, height = surface.lid.T
    above = y - np.interp(np.abs(x), across, height)
    near = (np.abs(x) > across[0] - 1) & (np.abs(x) < across[-1] + 3) & (z > 70) & (surface.kind == SKIN)
    line = np.exp(-((above / rng.uniform(0.7, 1.5)) ** 2)) * rng.uniform(0.4 if made_up else 0.1, 0.9)
    crease = np.exp(-(((above - rng.uniform(3, 5)) / 0.8) ** 2)) * rng.uniform(0, 0.35)
    return np.where(near, np.maximum(line, crease), 0).astype(np.float32)


def _beard(albedo, x, y, z, labels, hair, start, rng) -> np.ndarray:
    kind = rng.choice(["none", "stubble", "full", "moustache", "goatee"], p=[0.55, 0.2, 0.13, 0.06, 0.06])
    if kind == "none":
        return albedo
    across = np.abs(x)
    edge = np.interp(across, _BEARD_X, _BEARD_Y) + rng.normal(0, 2)
    area = np.clip((edge - y) / rng.uniform(3, 10), 0, 1) * np.clip((y + rng.uniform(85, 110)) / 12, 0, 1)
    area = area * np.clip((z + 5) / 25, 0, 1) * np.clip((-12 - y + np.maximum(across - 30, 0)) / 3, 0, 1)
    area = area * np.where((across < 9) & (y < -45) & (y > -52), rng.uniform(0.2, 1), 1)  # thin below the lip
    if kind == "moustache":
        area = area * ((across < 30) & (y > -38))
    elif kind == "goatee":
        area = area * (across < 30)
    dots = sample_noise(noise_texture(0.15, 7), x * 5 + start[1], y * 5)
    strands = sample_noise(noise_texture(0.7, 8, 5.0), x * 4 + start[0], y * 3)
    if kind == "stubble":
        cover = area * np.clip(rng.uniform(0.1, 0.5) + 0.35 * dots, 0, 0.8)
    else:
        cover = area * np.clip(rng.uniform(0.6, 1.1) + 0.3 * strands + 0.15 * dots, 0, 1)
    cover = np.where(np.isin(labels, (LABEL["skin"], LABEL["neck"])), cover, 0)[..., None].astype(np.float32)
    return albedo * (1 - cover) + cover * np.clip(hair * rng.uniform(0.6, 1.2) * (1 + 0.3 * strands[..., None]), 0, 1)


def _eyes(albedo, gloss, surface, rng) -> tuple[np.ndarray, np.ndarray]:
    eyes = np.isin(surface.kind, (EYE_RIGHT, EYE_LEFT))
    if not eyes.any():
        return albedo, gloss
    position = surface.eye[eyes]
    radius = np.hypot(position[:, 0], position[:, 1])
    front = position[:, 2] > 0
    angle = np.arctan2(position[:, 1], position[:, 0])
    iris_radius = rng.uniform(5.5, 6.6)
    pupil_radius = iris_radius * rng.uniform(0.25, 0.6)
    sclera = np.array([0.88, 0.85, 0.82], np.float32) * rng.uniform(0.75, 1.08)
    color = np.repeat(sclera[None], len(position), 0)
    color *= (1 - 0.25 * np.clip((np.abs(position[:, 0]) - 7) / 6, 0, 1))[:, None] * np.array([1, 0.97, 0.96])
    iris = np.array(_IRISES[rng.integers(len(_IRISES))]) * rng.uniform(0.7, 1.3)
    spokes = 1 + 0.25 * np.sin(angle * rng.integers(20, 50) + 3 * np.sin(angle * 7)) * rng.uniform(0, 1)
    rim = np.clip((iris_radius - radius) / 1.0, 0.35, 1)
    shown = np.clip((iris_radius - radius) / 0.4 + 0.5, 0, 1)[:, None] * front[:, None]
    color = color * (1 - shown) + shown * iris * (spokes * rim)[:, None]
    pupil = np.clip((pupil_radius - radius) / 0.4 + 0.5, 0, 1)[:, None] * front[:, None]
    color = color * (1 - pupil) + pupil * 0.02
    albedo[eyes] = np.clip(color, 0, 1)
    gloss[eyes] = 3.0
    return albedo, gloss

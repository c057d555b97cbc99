"""Things before a face: phones, microphones, cups, surgical masks, scarves, caps, and plain clutter."""

from __future__ import annotations

import numpy as np

from ..anatomy.landmarks import CHIN, FACE_OVAL, NOSE_TIP
from ..anatomy.parts import LABEL
from .backgrounds import image_noise, noise_texture, random_color
from .brush import box, ellipse, paint
from .occluder_layer import FaceFrame, Layer, bezier, bright_colors, fill, smooth_outline, strokes

_OCCLUDER = LABEL["occluder"]
# The oval's lower part from the viewer's right ear over the chin to the left one.
_JAW = tuple(FACE_OVAL[FACE_OVAL.index(323) : FACE_OVAL.index(93) + 1])


def _textured(color: np.ndarray, side: int, rng: np.random.Generator, amount: float = 0.12) -> np.ndarray:
    """(S, S, 3): a colour with a gradient across and some texture."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    light = 1 + rng.normal(0, 0.5) * (np.cos(angle) * x + np.sin(angle) * y)
    light = light + rng.uniform(0, amount) * image_noise(side, rng.uniform(0.5, 2), 1.0, rng)
    return np.clip(color * light[..., None], 0, 1).astype(np.float32)


def _axes(frame: FaceFrame, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors across and along something turned by `angle` from the face's down direction."""
    along = np.cos(angle) * frame.down + np.sin(angle) * frame.right
    return np.array([along[1], -along[0]]), along


def _curve(frame: FaceFrame, *shares: tuple[float, float]) -> np.ndarray:
    """Four control points in shares of the face -> (16, 2) pixels."""
    return bezier(np.stack([frame.at(x, y) for x, y in shares]), 16)


def draw_phone(frame: FaceFrame, rng: np.random.Generator) -> tuple[Layer, np.ndarray]:
    """A telephone at an ear, or held before the face; and its middle in pixels."""
    side = frame.side
    if rng.random() < 0.5:
        centre = frame.at(rng.choice([-1, 1]) * rng.uniform(0.3, 0.5), rng.normal(0.1, 0.1))
        angle = rng.normal(0, 0.4)
    else:
        centre = frame.at(rng.normal(0, 0.25), rng.normal(0.05, 0.25))
        angle = rng.normal(0, 0.8)
    across, along = _axes(frame, angle)
    half = np.array([rng.uniform(0.12, 0.24), rng.uniform(0.28, 0.46)]) * frame.size
    corner = np.array([(x, y) for x in (-1, 1) for y in (-1, 1)])[[0, 1, 3, 2]]
    outline = []
    for sx, sy in corner:
        for turn in np.linspace(0, np.pi / 2, 5):
            bend = turn if sx * sy < 0 else np.pi / 2 - turn
            round_off = 0.18 * half[0]
            outline.append(centre + across * sx * (half[0] - round_off + round_off * np.cos(bend))
                           + along * sy * (half[1] - round_off + round_off * np.sin(bend)))  # fmt: skip
    mask = fill(side, np.array(outline))
    color = _textured(bright_colors(rng), side, rng, 0.04)
    color = np.ascontiguousarray(color)
    inner = centre + (np.array(outline) - centre) * 0.92
    if rng.random() < 0.4:
        screen = fill(side, inner)[..., None]
        color = color * (1 - screen) + screen * _textured(random_color(rng), side, rng, 0.3)
    elif rng.random() < 0.8:
        for k in range(int(rng.integers(1, 4))):
            lens = centre - along * half[1] * 0.75 + across * half[0] * (0.5 - 0.01 * k) + along * k * 0.3 * half[0]
            radius = max(1.0, 0.13 * half[0])
            paint(color, ellipse(lens, (radius, radius)), (0.03, 0.03, 0.04))
    return Layer(color.astype(np.float32), mask, _OCCLUDER), centre


def draw_microphone(frame: FaceFrame, rng: np.random.Generator) -> tuple[Layer, np.ndarray]:
    """A foam or wire ball near the mouth on a stick from below; and a point of the stick in pixels."""
    side = frame.side
    mouth = frame.landmarks[[13, 14]].mean(0)
    radius = frame.size * rng.uniform(0.09, 0.19)
    ball = mouth + frame.size * (rng.normal(0, 0.13) * frame.right + rng.uniform(0.02, 0.3) * frame.down)
    _, along = _axes(frame, rng.normal(0, 0.6))
    across = np.array([along[1], -along[0]])
    end = ball + along * frame.size * 1.6
    width = radius * rng.uniform(0.4, 0.75)
    stick = fill(side, np.array([ball - across * width, ball + across * width, end + across * width * 0.7,
                                 end - across * width * 0.7]))  # fmt: skip
    y, x = np.mgrid[:side, :side].astype(np.float32)
    dx, dy = (x + 0.5 - ball[0]) / radius, (y + 0.5 - ball[1]) / radius
    distance = np.sqrt(dx * dx + dy * dy)
    round_ = np.clip((1 - distance) * radius + 0.5, 0, 1)
    light = rng.uniform(-1, 1, 2)
    height = np.sqrt(np.clip(1 - distance**2, 0, 1))
    shade = np.clip(0.35 + 0.5 * height - 0.35 * (dx * light[0] + dy * light[1]), 0.1, 1.4)
    if rng.random() < 0.5:  # wire mesh
        pitch = rng.uniform(0.8, 2.0)
        shade = shade * (1 + 0.35 * np.sin((x + y) * pitch) * np.sin((x - y) * pitch))
        tone = np.full(3, rng.uniform(0.25, 0.8), np.float32)
    else:
        shade = shade * (1 + 0.15 * image_noise(side, 0.3, 1.0, rng))
        tone = bright_colors(rng) if rng.random() < 0.6 else np.full(3, 0.06, np.float32)
    across_share = ((x - ball[0]) * across[0] + (y - ball[1]) * across[1]) / max(width, 1e-3)
    barrel = random_color(rng, 0.03, 0.6, 0.3) * np.clip(1.1 - np.abs(across_share - 0.3) * 0.6, 0.2, 1.3)[..., None]
    color = np.where(round_[..., None] > 0.5, tone * shade[..., None], barrel)
    alpha = np.maximum(stick, round_)
    return Layer(np.clip(color, 0, 1).astype(np.float32), alpha, _OCCLUDER), ball + along * radius * 2.2


def draw_cup(frame: FaceFrame, rng: np.random.Generator) -> tuple[Layer, np.ndarray]:
    """A cup, glass or bottle at the mouth; and its middle in pixels."""
    side = frame.side
    mouth = frame.landmarks[[13, 14]].mean(0)
    top = mouth + frame.size * (rng.normal(0, 0.08) * frame.right + rng.uniform(-0.12, 0.12) * frame.down)
    across, along = _axes(frame, rng.normal(0, 0.5))
    wide, narrow = frame.size * rng.uniform(0.15, 0.26), frame.size * rng.uniform(0.08, 0.24)
    tall = frame.size * rng.uniform(0.3, 0.7)
    rim = [top + across * wide * np.cos(a) + along * wide * 0.25 * np.sin(a) for a in np.linspace(np.pi, 2 * np.pi, 14)]
    base = [top + along * (tall + narrow * 0.25 * np.sin(a)) + across * narrow * np.cos(a)
            for a in np.linspace(0, np.pi, 14)]  # fmt: skip
    mask = fill(side, np.array(rim + base))
    y, x = np.mgrid[:side, :side].astype(np.float32)
    share = ((x - top[0]) * across[0] + (y - top[1]) * across[1]) / wide
    shade = np.clip(1.05 - 0.5 * np.abs(share - rng.uniform(-0.5, 0.5)), 0.2, 1.3)[..., None]
    color = _textured(bright_colors(rng), side, rng, 0.05) * shade
    if rng.random() < 0.5:  # a band or print
        height = ((x - top[0]) * along[0] + (y - top[1]) * along[1]) / tall
        start = rng.uniform(0.1, 0.6)
        band = ((height > start) & (height < start + rng.uniform(0.1, 0.4)))[..., None]
        color = np.where(band, random_color(rng) * shade, color)
    opening = [top + across * wide * np.cos(a) + along * wide * 0.25 * np.sin(a) for a in np.linspace(0, 2 * np.pi, 24)]
    hollow = fill(side, np.array(opening))[..., None] * float(rng.random() < 0.5)
    color = color * (1 - 0.5 * hollow)
    return Layer(np.clip(color, 0, 1).astype(np.float32), mask, _OCCLUDER), top + along * tall * 0.6


def draw_mask(frame: FaceFrame, rng: np.random.Generator) -> list[Layer]:
    """A surgical or cloth mask from the nose (now and then from below it) to the chin, with its ear loops."""
    side, points = frame.side, frame.landmarks
    top = points[rng.choice([197, 195, 5, 4])] if rng.random() < 0.85 else points[[2, 0]].mean(0)
    jaw = points[list(_JAW)]
    middle = points[[CHIN, 4]].mean(0)
    jaw = middle + (jaw - middle) * np.array(rng.uniform(0.98, 1.1))
    jaw = jaw + frame.down * frame.size * rng.uniform(-0.02, 0.05)
    jaw = jaw[int(rng.integers(0, 3)) :]
    jaw = jaw[: len(jaw) - int(rng.integers(0, 3))]
    sag = rng.uniform(-0.02, 0.07) * frame.size * frame.down
    edge_right = bezier(np.stack([jaw[-1], (jaw[-1] * 2 + top) / 3 + sag, (jaw[-1] + top * 2) / 3 + sag, top]), 8)
    edge_left = bezier(np.stack([top, (jaw[0] + top * 2) / 3 + sag, (jaw[0] * 2 + top) / 3 + sag, jaw[0]]), 8)
    mask = fill(side, np.concatenate([jaw, edge_right, edge_left]), 0.7)
    kinds = [(0.62, 0.8, 0.88), (0.55, 0.75, 0.72), (0.92, 0.93, 0.94), (0.08, 0.08, 0.09)]
    tone = np.array(kinds[rng.integers(4)], np.float32) if rng.random() < 0.75 else random_color(rng)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    height = ((x - top[0]) * frame.down[0] + (y - top[1]) * frame.down[1]) / frame.size
    beside = ((x - middle[0]) * frame.right[0] + (y - middle[1]) * frame.right[1]) / frame.size
    shade = 1.02 - rng.uniform(0.3, 1.2) * beside**2 + rng.normal(0, 0.3) * beside
    if rng.random() < 0.7:  # pleats
        shade = shade - 0.12 * np.clip(np.sin(height * rng.uniform(30, 60)), 0, 1) * (height > 0.08)
    shade = shade + 0.04 * image_noise(side, 1.6, 1.0, rng) + 0.02 * image_noise(side, 0.2, 1.0, rng)
    color = np.clip(tone * shade[..., None], 0, 1)
    layers = [Layer(color.astype(np.float32), mask, _OCCLUDER)]
    loops = []
    for corner, ear, sign in ((jaw[-1], 127, -1.0), (jaw[0], 356, 1.0)):
        if (points[ear] - points[NOSE_TIP]) @ frame.right * sign > 0.12 * frame.size:
            loops.append(np.stack([corner, points[ear] + 0.03 * frame.size * sign * frame.right]))
    if loops:
        loop = strokes(side, loops, max(1.0, 0.012 * frame.size))
        layers.append(Layer(np.broadcast_to(tone, (side, side, 3)).astype(np.float32), loop, _OCCLUDER))
    return layers


def draw_scarf(frame: FaceFrame, rng: np.random.Generator) -> Layer:
    """Cloth around the neck, up to the chin, the mouth or the nose."""
    side = frame.side
    level = rng.choice([0.62, 0.5, 0.3, 0.12], p=[0.4, 0.3, 0.2, 0.1]) + rng.normal(0, 0.03)
    left, right = frame.at(-0.75, level - rng.uniform(-0.1, 0.12)), frame.at(0.75, level - rng.uniform(-0.1, 0.12))
    upper = bezier(np.stack([left, frame.at(-0.3, level + 0.05), frame.at(0.3, level + 0.05), right]), 16)
    upper = upper + rng.normal(0, 0.006, upper.shape) * frame.size
    mask = fill(side, np.concatenate([upper, [frame.at(1.2, 2.0), frame.at(-1.2, 2.0)]]), 0.8)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    height = ((x - left[0]) * frame.down[0] + (y - left[1]) * frame.down[1]) / frame.size
    beside = ((x - frame.centre[0]) * frame.right[0] + (y - frame.centre[1]) * frame.right[1]) / frame.size
    bend = image_noise(side, 2.0, 0.6, rng) * 0.25
    folds = np.sin((height - 0.35 * np.cos(beside * 2.5) + bend) * rng.uniform(15, 45))
    shade = 0.85 + 0.18 * folds + 0.04 * image_noise(side, 0.3, 1.0, rng)
    color = random_color(rng)
    if rng.random() < 0.4:
        check = (np.sin(beside * rng.uniform(20, 60)) > 0) ^ (np.sin(height * rng.uniform(20, 60)) > 0)
        color = np.where(check[..., None], random_color(rng), color)
    return Layer(np.clip(color * shade[..., None], 0, 1).astype(np.float32), mask, _OCCLUDER)


def draw_hat(frame: FaceFrame, rng: np.random.Generator) -> list[Layer]:
    """A cap with a brim, a knitted hat or a hood's edge: from the forehead over the crown."""
    side = frame.side
    brow = rng.uniform(-0.5, -0.28)  # the lower edge on the forehead; the eyes lie near -0.13
    half = rng.uniform(0.5, 0.62)
    top = brow - rng.uniform(0.75, 1.05)
    lean = rng.normal(0, 0.05)
    arch = rng.uniform(-0.06, 0.1)
    left, right = (-half, brow + 0.12), (half, brow + 0.12 + lean)
    front = _curve(frame, left, (-half * 0.5, brow - arch), (half * 0.5, brow - arch + lean), right)
    crown = _curve(frame, right, (half * 1.3, top), (-half * 1.3, top), left)
    mask = fill(side, np.concatenate([front, crown]), 0.6)
    tone = bright_colors(rng) if rng.random() < 0.5 else random_color(rng)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    beside = ((x - frame.centre[0]) * frame.right[0] + (y - frame.centre[1]) * frame.right[1]) / frame.size
    height = ((x - frame.centre[0]) * frame.down[0] + (y - frame.centre[1]) * frame.down[1]) / frame.size
    shade = 1.05 - 1.1 * (beside + rng.normal(0, 0.15)) ** 2 + 0.05 * image_noise(side, 1.0, 1.0, rng)
    knitted = rng.random() < 0.4
    if knitted:
        shade = shade + 0.12 * np.sin(beside * rng.uniform(80, 160)) * (1 + 0.3 * np.sin(height * 120))
    color = np.clip(tone * shade[..., None], 0, 1)
    if rng.random() < 0.4:
        band = (height > brow - rng.uniform(0.08, 0.2))[..., None]
        color = np.where(band, np.clip(random_color(rng) * shade[..., None], 0, 1), color)
    layers = [Layer(color.astype(np.float32), mask, _OCCLUDER)]
    if not knitted and rng.random() < 0.75:
        length = rng.uniform(0.08, 0.25)
        tip = frame.at(rng.normal(0, 0.15), brow + length)
        wide = frame.right * 0.25 * frame.size
        brim = np.concatenate([front[2:-2], bezier(np.stack([front[-3], tip + wide, tip - wide, front[2]]), 20)])
        dark = np.clip(tone * rng.uniform(0.4, 1.1) * (shade[..., None] * 0.7 + 0.2), 0, 1)
        layers.append(Layer(dark.astype(np.float32), fill(side, brim, 0.6), _OCCLUDER))
    return layers


def draw_clutter(image: np.ndarray, frame: FaceFrame, rng: np.random.Generator) -> Layer:
    """Anything else: a smooth blob, a box or a bar of some colour, texture or a piece of the picture itself."""
    side = frame.side
    centre = frame.at(rng.normal(0, 0.35), rng.normal(0.1, 0.35))
    kind = rng.choice(["blob", "box", "bar"])
    if kind == "blob":
        angle = np.linspace(0, 2 * np.pi, 9, endpoint=False)
        radius = frame.size * rng.uniform(0.08, 0.3) * rng.uniform(0.6, 1.4, 9)
        outline = smooth_outline(centre + np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1))
        mask = fill(side, outline, 0.7)
    else:
        size = (frame.size * rng.uniform(0.15, 0.6), frame.size * rng.uniform(0.1, 0.5))
        if kind == "bar":
            size = (frame.size * 3, frame.size * rng.uniform(0.03, 0.15))
        mask = fill(side, box(centre, size, rng.uniform(0, 180)), 0.5)
    if rng.random() < 0.2:
        color = np.roll(image, tuple(int(v) for v in rng.integers(side // 4, side, 2)), (0, 1))
    else:
        color = _textured(random_color(rng), side, rng, 0.4)
        if rng.random() < 0.4:
            strands = np.roll(noise_texture(1.0, 15, 4.0)[:side, :side], int(rng.integers(side)), 1)
            if strands.shape == color.shape[:2]:
                color = np.clip(color * (1 + 0.25 * strands[..., None]), 0, 1)
    return Layer(color.astype(np.float32), mask, _OCCLUDER)

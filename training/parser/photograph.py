"""Photograph a random person of a head model: one rasterization, painted and lit per pixel, with exact labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from facefit.anatomy.parts import LABEL
from facefit.geometry.camera import Camera, project, to_clip_space
from facefit.render import load_renderer
from facefit.render.harmonics import SH0, sh_basis
from facefit.render.lighting import vertex_normals
from training.parser.backgrounds import draw_background, image_noise
from training.parser.heads import MOUTH, SKIN, TEETH, Head, lit_share, turn
from training.parser.painted_hair import draw_wisps, hair_shell, paint_hair, random_hairstyle
from training.parser.painted_skin import (
    Surface,
    brow_band,
    hair_color,
    label_surface,
    paint_surface,
    random_brows,
    skin_tone,
)
from training.parser.people import Person, random_person
from training.parser.torso import neckline, paint_clothes, torso_mesh

# The photo is this many times as wide as the landmarks' box: the detector wants surroundings, the window fits inside.
FRAMING = 2.7
_NO_SURFACE = 255
_OWN_SCALE = np.array([1.0, 0.97, 1.07], np.float32)
_OWN_OFFSET = np.array([0.0, 35.4, 75.5], np.float32)


@dataclass(frozen=True)
class Photograph:
    """A picture and all that is behind it.

    Attributes:
        image: (S, S, 3) float32 RGB in [0, 1]; labels: (S, S) uint8; landmarks: (478, 2) true photo pixels.
        verts: (V, 3) float32 of the head, mm in its model's axes.
        rotation, translation: (3, 3), (3,) mm, model's axes -> camera space. focal: pixels, the same in x and y.
        normals: (S, S, 3) float32 of what is seen, camera space.
    """

    image: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray
    verts: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    focal: float
    normals: np.ndarray


@dataclass(frozen=True)
class _Scene:
    """Everything rasterized: camera space points (N, 3), faces, and per vertex and face what the painters need."""

    points: np.ndarray
    faces: np.ndarray
    layer: np.ndarray  # (F,) 0 head, 1 hair shell, 2 torso
    kind: np.ndarray  # (F,)
    attributes: np.ndarray  # (N, 16) paint 3, ear, openness, lips 3, eye 3, shadow, skin's ratio 3, where it is known


@torch.no_grad()
def photograph(
    head: Head, rng: np.random.Generator, size: int = 512, person: Person | None = None,
    skin: np.ndarray | None = None, framing: float = FRAMING,
) -> Photograph:  # fmt: skip
    """One random person.

    Args:
        head: of training.parser.heads.
        rng: of everything random.
        size: side of the photo in pixels.
        person: who; None: anyone.
        skin: (V, 4) somebody's ratio of colour to complexion, and where it is known: it takes the place of the paint.
        framing: side of the photo over the longer side of the landmarks' box.
    """
    person = random_person(head, rng) if person is None else person
    verts = head.shape(person.identity, person.expression, person.gaze)
    natural = hair_color(rng)
    style = random_hairstyle(natural, rng)
    rotation = turn(*person.pose)
    light = turn(rng.uniform(-1.7, 1.7), rng.uniform(-0.5, 1.1), 0.0)  # camera space -> the light looks along -z
    scene = _scene(head, verts, rotation, turn(*(0.7 * np.array(person.pose))), style, light, rng, skin)

    focal = person.focal * size
    points = torch.from_numpy(scene.points)[None]
    of_head = torch.from_numpy(head.landmarks(scene.points[: len(verts)]))[None]
    distance = focal * float((of_head[0, :, :2].amax(0) - of_head[0, :, :2].amin(0)).max()) * framing / size
    middle = (of_head[0].amax(0) + of_head[0].amin(0)) / 2
    shift = torch.tensor([float(middle[0]), float(middle[1]) + rng.uniform(-6, 14), float(middle[2]) + distance])
    camera = Camera(torch.full((1, 2), focal), torch.full((1, 2), size / 2))
    points, of_head = points - shift, of_head - shift

    faces = torch.from_numpy(scene.faces)
    renderer = load_renderer("cpu")
    rast = renderer.rasterize(to_clip_space(points, camera, size), faces, size)
    normals = vertex_normals(points, faces)
    values = torch.cat([torch.from_numpy(scene.attributes)[None], normals], 2)
    maps = renderer.interpolate(values, rast, faces)[0].numpy()
    index = rast[0, ..., 3].long().numpy() - 1
    seen = maps[..., -3:] / np.maximum(np.linalg.norm(maps[..., -3:], axis=2, keepdims=True), 1e-6)
    image, labels = _paint(scene, maps, index, natural, style, head, light, rng)
    landmarks, translation = project(of_head, camera)[0].numpy(), -(rotation @ head.centre) - shift.numpy()
    return Photograph(image, labels, landmarks, verts, rotation, translation, focal, seen)


def _scene(head, verts, rotation, body_rotation, style, light, rng, skin) -> _Scene:
    points = (verts - head.centre) @ rotation.T
    count = len(verts)
    eye = np.zeros_like(verts)
    for ball in (1, 2):
        of_eye = head.eyeball == ball
        mean = head.verts[of_eye]
        eye[of_eye] = mean - (mean.min(0) + mean.max(0)) / 2
    lips = np.zeros((count, 3), np.float32) if head.lips is None else head.lips
    ratio = np.zeros((count, 4)) if skin is None else np.append(skin[:, :3] * skin[:, 3:], skin[:, 3:], 1)
    attributes = np.concatenate(
        [head.paint, head.ear[:, None], head.openness[:, None], lips, eye, np.ones((count, 1)), ratio], 1
    ).astype(np.float32)
    stack, face_stack, kinds = [points], [head.faces], [head.kind]
    layers = [np.zeros(len(head.faces), np.uint8)]
    rows = [attributes]
    if style is not None and style.thickness > 0:
        shell, chosen = hair_shell(head, verts, style)
        stack.append((shell - head.centre) @ rotation.T)
        face_stack.append(head.faces[chosen] + count)
        kinds.append(np.full(len(chosen), SKIN, np.uint8))
        layers.append(np.ones(len(chosen), np.uint8))
        grown = attributes.copy()
        grown[:, 3] = 0
        grown[:, 4] = np.maximum(grown[:, 4], 0.7)
        grown[:, 12:] = 0
        rows.append(grown)
    if head.name == "facefit" or rng.random() < 0.3:
        body, body_faces = torso_mesh()
        paint = body.copy()
        if head.name == "facefit":
            body = (body - _OWN_OFFSET) / _OWN_SCALE
        face_stack.append(body_faces + sum(len(s) for s in stack))
        stack.append((body - head.centre) @ body_rotation.T)
        kinds.append(np.full(len(body_faces), SKIN, np.uint8))
        layers.append(np.full(len(body_faces), 2, np.uint8))
        row = np.zeros((len(body), attributes.shape[1]), np.float32)
        row[:, :3], row[:, 4], row[:, 11] = paint, 0.85, 1
        rows.append(row)
    points = np.concatenate(stack).astype(np.float32)
    faces = np.concatenate(face_stack)
    values = np.concatenate(rows)
    if rng.random() < 0.6:
        values[:, 11] = lit_share(points, faces, light, 320, slack=3.0)
    return _Scene(points, faces, np.concatenate(layers), np.concatenate(kinds), values)


def _paint(scene, maps, index, natural, style, head, light, rng) -> tuple[np.ndarray, np.ndarray]:
    size = index.shape[0]
    covered = index >= 0
    layer = np.where(covered, scene.layer[index], _NO_SURFACE)
    kind = np.where(covered, scene.kind[index], _NO_SURFACE).astype(np.uint8)
    paint, ear, openness, lips, eye, shadow, ratio, known, normal = np.split(maps, (3, 4, 5, 8, 11, 12, 15, 16), axis=2)
    lips = None if head.lips is None else np.where(layer[..., None] == 0, lips, 0)
    surface = Surface(paint, kind, ear[..., 0], lips, eye, head.lid)
    brows = random_brows(natural, rng)
    band = np.where(layer == 0, brow_band(paint, brows), -1)
    labels = label_surface(surface, band)
    labels[layer == 2] = LABEL["neck"]
    if layer.max(initial=0, where=covered) >= 1:
        labels[(layer == 1) & (labels != LABEL["neck"])] = LABEL["skin"]
    tone = skin_tone(rng)
    albedo, gloss = paint_surface(surface, labels, band, tone, natural, brows, rng)
    real = np.where(((kind == SKIN) & (layer == 0))[..., None], known, 0)
    if real.any():
        complexion = tone * ratio / np.maximum(known, 1e-3)  # the ratio is weighted with where it is known
        albedo = albedo * (1 - real) + real * np.clip(complexion, 0.01, 1)

    if style is not None:
        strands, height = paint_hair(paint, style, rng)
        hair = (height > 0) & (kind == SKIN) & (layer < 2)
        if not style.covers_ears:
            hair &= ~((ear[..., 0] > 0.3) & (layer == 0))
        hair &= ~((layer == 0) & (paint[..., 2] > 75) & (paint[..., 1] < 40))  # only a shell can hang before the face
        soft = np.clip(height / 3, 0, 1)[..., None] if style.thickness == 0 else 1.0
        albedo = np.where(hair[..., None], strands * soft + albedo * (1 - soft), albedo)
        gloss = np.where(hair, 0.5, gloss)
        labels[hair] = LABEL["hair"]
    dressed = covered & neckline(paint, rng) & (kind == SKIN) & np.isin(labels, (LABEL["neck"], LABEL["skin"]))
    dressed &= paint[..., 1] < -85
    albedo = np.where(dressed[..., None], paint_clothes(paint, rng), albedo)
    gloss = np.where(dressed, 0.1, gloss)
    labels[dressed] = LABEL["background"]

    bump = rng.uniform(0, 0.1) * np.stack([image_noise(size, 0.8, 1.0, rng) for _ in range(2)], 2)
    # inside the mouth the mean face, whose lips are shut, says nothing about the light that gets there
    mouth = np.isin(kind, (MOUTH, TEETH))[..., None]
    openness = np.where(mouth, rng.uniform(0.35, 1.0) * np.clip((paint[..., 2:] - 60) / 40, 0.15, 1), openness)
    shadow = np.where(mouth, np.maximum(shadow, rng.uniform(0, 0.8)), shadow)
    normal[..., :2] += bump
    normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-6)
    shaded = _light(albedo, normal, gloss, openness[..., 0], shadow[..., 0], light, rng)
    exposed = float(shaded[covered].mean())  # a photographer sees to it that the face is neither black nor white
    shaded = shaded * (np.clip(exposed, 0.15, 0.7) / max(exposed, 1e-3))
    background = draw_background(size, rng)
    image = np.where(covered[..., None], shaded, background).astype(np.float32)
    if rng.random() < 0.5:
        image = draw_wisps(image, labels, rng)
    return np.clip(image, 0, 1).astype(np.float32), labels


def _light(albedo, normal, gloss, openness, shadow, light, rng) -> np.ndarray:
    """Key light with cast shadow, a sky of spherical harmonics, and gloss. `light`: camera space -> the light's."""
    to_light = light[2]
    cosine = np.clip(normal @ to_light, 0, 1) * shadow
    hard = rng.random() < 0.25
    key = rng.uniform(0.6, 1.1) if hard else rng.uniform(0, 0.6)
    warmth = 1 + rng.normal(0, 0.08) * np.array([1, 0, -1], np.float32)
    sky = rng.uniform(0.12, 0.35) if hard else rng.uniform(0.45, 0.9)
    sh = np.zeros((9, 3), np.float32)
    sh[0] = 1 / SH0
    sh[1:4] = rng.normal(0, 0.35, (3, 1)) + rng.normal(0, 0.05, (3, 3))
    sh[1] += 0.3
    sh[4:] = rng.normal(0, 0.12, (5, 1))
    basis = sh_basis(torch.from_numpy(np.ascontiguousarray(normal))).numpy()
    ambient = np.clip(basis @ sh, 0.1, None) * sky * (0.3 + 0.7 * openness[..., None])
    half = to_light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    power = rng.uniform(8, 60)
    shine = np.clip(normal @ half, 0, 1) ** power * gloss * shadow * rng.uniform(0, 0.25)
    color = albedo * (ambient + key * warmth * cosine[..., None]) + (shine * (0.3 + key))[..., None] * warmth
    return color ** rng.uniform(0.85, 1.1)

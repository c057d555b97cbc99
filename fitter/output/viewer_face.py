"""What the page of a fitted face shows, from its scene: its GLB, photo, colours, parts and landmarks."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..anatomy.measures import measured
from ..anatomy.parts import COLOURS, LABEL, PART_LABELS
from ..compute.derived import derived
from ..files.picture_bytes import jpg_bytes, png_bytes
from ..fit.result import FitResult
from ..fit.summary import Summary
from ..fit.verdict import DOUBTFUL
from ..model.face_model import FaceModel
from ..scene.scene import Scene
from .morph_glb import morph_glb
from .morph_targets import Morphs, morph_targets
from .texture import fill_gutter, texels
from .texture_picture import texture_picture
from .viewer import Landmarks, Page, Shot, address

LARGEST_PHOTO = 1200  # pixels of the longer side
AROUND = 1.7  # times the projected head: what of the photo is shown
MAP_SIZE = 1024  # texels of the albedo
LARGEST_ALBUM = 12  # photos of one page; each is some 0.1 MB
_PARTS_SIZE, _QUALITY, _TEXTURE_QUALITY = 512, 88, 92


def result_page(
    result: FitResult, texture: np.ndarray, name: str, space: str = "model", shots: Sequence[Shot] | None = None,
    normals: np.ndarray | None = None,
) -> bytes:  # fmt: skip
    """The page of a fit.

    Args:
        texture: (T, T, 3) uint8. name: of the result, without a suffix. space: "model" or "camera", where the head
            stands.
        normals: (T, T, 3) uint8, a tangent-space normal map.
        shots: photos of it, if it is no more of the one than of the others; None: the fit's own.
    """
    albedo = texture_picture(result, len(texture), "albedo")
    title = name if shots is not None else Path(result.photo_path).name or name
    if shots is None:
        shots = [shot(result.scene, result.photo, space=space)]
    return face_page(
        result.scene, morph_targets(result.scene, space), texture, name, title=title, figures=result.summary,
        shots=shots, albedo=albedo, normals=normals,
    ).html()  # fmt: skip


def face_page(
    scene: Scene, morphs: Morphs, texture: np.ndarray, name: str, *, title: str, figures: Summary,
    shots: Sequence[Shot] = (), albedo: np.ndarray | None = None, normals: np.ndarray | None = None,
) -> Page:  # fmt: skip
    """The page of a face.

    Args:
        scene: of the face (B = 1). morphs: its mesh, in any space. texture, name: as in `result_page`.
        title: heading. figures: what its fit came to.
        shots: photos of the face, with cameras that look into that space.
        albedo: (S, S, 3) uint8, the texture without its light; None where that cannot be told.
        normals: (T, T, 3) uint8, a tangent-space normal map.
    """
    model = scene.model
    turned = None if normals is None else png_bytes(normals)
    glb = morph_glb(model, morphs, jpg_bytes(texture, _TEXTURE_QUALITY), quantize=True, normals=turned)
    maps = {} if albedo is None else {"albedo": address(jpg_bytes(albedo, _QUALITY), "image/jpeg")}
    return Page(
        title=title, glb=glb, file=f"{name}.glb", status=status_text(figures.status), light=light(figures.status),
        shapes=model.expression_names, span=shape_span(model),
        shots=shots,
        maps=maps | {"parts": parts_map(model)},
        landmarks=landmarks_of(model, morphs), measures=face_measures(scene), numbers=numbers(figures),
        credit=model_credit(model),
    )  # fmt: skip


def model_credit(model: FaceModel) -> str:
    """Where the head of a page comes from."""
    return f"Made by facefit with the face model {model.name} {model.version} ({model.license})."


def light(status: str) -> str:
    """The colour that goes with a fit's status."""
    return status if status in ("failed", DOUBTFUL) else "good"


def status_text(status: str) -> str:
    """In words."""
    words = {"good": "good fit", DOUBTFUL: "doubtful: it may not lie on the face", "failed": "failed"}
    return words[light(status)]


def shape_span(model: FaceModel) -> tuple[float, float]:
    """The least and greatest value of an expression's slider."""
    return (0.0, 1.0) if model.activation else (-3.0, 3.0)


def numbers(figures: Summary) -> list[tuple[str, str]]:
    """Rows of the page's table."""
    rows = []
    if figures.landmark_error is not None:
        rows.append(("landmark error", f"{100 * figures.landmark_error:.1f} % of the eye distance"))
    if figures.part_iou is not None:
        rows.append(("part IoU", f"{figures.part_iou:.2f}"))
    return [*rows, ("stopped by", figures.status)] if light(figures.status) == "good" else rows


def album(count: int) -> list[int]:
    """Which of so many photos of one head its page has: all, or LARGEST_ALBUM from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, LARGEST_ALBUM)).round().astype(int)).tolist()


def shot(
    scene: Scene, photo: np.ndarray, name: str = "photo", space: str = "model",
    weights: Mapping[str, float] | None = None,
) -> Shot:  # fmt: skip
    """The part of a photo around the head, at most LARGEST_PHOTO pixels a side, with its camera.

    Args:
        scene: its camera is the photo's. photo: (H, W, 3) uint8. name, weights: see Shot.
        space: "model" or "camera", where the head of the page stands.
    """
    rotation, translation = scene.pose() if space == "model" else (np.eye(3), np.zeros(3))
    focal, centre = (value[0].double().cpu().numpy() for value in (scene.camera.focal, scene.camera.centre))
    return cropped_shot(photo, scene.box(), focal, centre, rotation, translation, name, weights)


def cropped_shot(
    photo: np.ndarray, box: tuple[float, float, float, float], focal: np.ndarray, centre: np.ndarray,
    rotation: np.ndarray, translation: np.ndarray, name: str = "photo", weights: Mapping[str, float] | None = None,
) -> Shot:  # fmt: skip
    """The part of a photo around a box (left, top, right, bottom) in its pixels.

    Args:
        photo: (H, W, 3) uint8. focal, centre: (2,) in its pixels. rotation, translation, name, weights: see Shot.
    """
    height, width = photo.shape[:2]
    left, top, right, bottom = box
    middle, reach = ((left + right) / 2, (top + bottom) / 2), AROUND / 2 * max(right - left, bottom - top)
    x0, x1 = (int(np.clip(middle[0] + side * reach, 0, width)) for side in (-1, 1))
    y0, y1 = (int(np.clip(middle[1] + side * reach, 0, height)) for side in (-1, 1))
    if x1 - x0 < 2 or y1 - y0 < 2:  # a head beside its photo
        x0, y0, x1, y1 = 0, 0, width, height
    part = Image.fromarray(photo[y0:y1, x0:x1])
    part.thumbnail((LARGEST_PHOTO, LARGEST_PHOTO), Image.Resampling.LANCZOS)
    scale = np.array([part.width / (x1 - x0), part.height / (y1 - y0)])
    (fx, fy), (cx, cy) = (focal * scale).tolist(), ((centre - (x0, y0)) * scale).tolist()
    jpeg = jpg_bytes(np.asarray(part), _QUALITY)
    return Shot(name, jpeg, part.width, part.height, (fx, fy), (cx, cy), rotation, translation, weights)


def face_measures(scene: Scene) -> dict[str, float]:
    """mm of MEASURES: of the face at rest, looking straight ahead."""
    with torch.no_grad():
        rest = scene.model.shape(scene.parameters.identity, torch.zeros_like(scene.parameters.expression))
        return measured(scene.model.landmarks(rest)[0].cpu().double().numpy())


def landmarks_of(model: FaceModel, morphs: Morphs) -> Landmarks:
    """The landmarks of a mesh, and what its morph targets do to them."""
    corners = model.faces[model.landmark_faces].cpu().numpy()
    bary = model.landmark_bary.cpu().double().numpy()
    moves = [np.einsum("lk,lkx->lx", bary, target[corners]) for target in morphs.targets]
    rest = np.einsum("lk,lkx->lx", bary, morphs.base[corners])
    return Landmarks(rest, np.array(moves).reshape(-1, len(bary), 3), morphs.names)


def parts_map(model: FaceModel) -> str:
    """The address of a picture with the colour of its part at each texel."""
    return derived(model, "parts_map", _parts_map)


def _parts_map(model: FaceModel) -> str:
    face, bary = texels(model, _PARTS_SIZE)
    label = model.vertex_label.cpu().numpy()[model.faces.cpu().numpy()[face]]
    share = (bary[..., :, None] * (label[..., :, None] == label[..., None, :])).sum(-2)
    best = np.take_along_axis(label, share.argmax(-1)[..., None], -1)[..., 0]
    best = np.where(face < 0, LABEL["head"], best)
    filled = fill_gutter(COLOURS[best].astype(np.float32), face >= 0)
    picture = Image.fromarray((filled + 0.5).astype(np.uint8))
    stream = io.BytesIO()
    picture.quantize(PART_LABELS + 2, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return address(stream.getvalue(), "image/png")

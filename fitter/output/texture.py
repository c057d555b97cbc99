"""The photo, unwrapped into the model's UV layout at the photo's own resolution; what it does not show is filled.

Each texel is a point of the fitted surface. It is projected into the photo and sampled there, if the mesh does not hide
it, if it faces the camera, if the observation calls that pixel the person's skin, eyes, brows, lips or nose, and if its
colour is not that of a strand, a frame or a shadow on them (`skin_check`): hair, hands, glasses and background are not
baked in, and of the mouth only teeth. The rest is filled in two bands, which leaves no seam:

    texture = base + detail
    base    the fitted albedo under the fitted light, plus a smooth correction towards the photo's usual skin, which is
            diffused over the mesh (not over the UV layout, whose cuts would show)
    detail  photo - base where the photo shows the texel; that of the mirrored texel, as far as it is faint,
            where it shows only that one
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from ..anatomy.parts import LABEL
from ..compute.derived import derived
from ..compute.smoothstep import smoothstep
from ..compute.threads import beside
from ..fit.result import FitResult
from ..geometry.camera import Camera
from ..geometry.mesh_graph import connected_pieces, polygon_sides
from ..model.face_model import FaceModel
from ..render import load_renderer
from ..render.view import View, make_window
from ..render.view_kernels import over_rows, vertex_picture
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene
from . import texture_kernels as kernels
from .complexion import complete
from .doubtful_skin import behind_glasses, beside_hidden_mouth
from .lids import closed_lids
from .seen_pixels import SeenPixels, seen_pixels
from .shading import held_albedo, held_shading, seen_colours
from .skin_check import SkinCheck, check_skin
from .skin_pattern import carry_on

_SILHOUETTE_FADE = 3.0  # mm from the background over which the photo fades in: about the error of a good fit

_EDGE_FADE = 1.2  # mm from a depth edge inside the face (nose over cheek), where landmarks hold the fit

_LID_FADE = 0.5  # mm from where lids border on eyeballs or lips on teeth: eyes are few pixels and must be kept

_DEPTH_EDGE = 4.0  # mm between neighbouring pixels; less is a slope or an eyelid

_MASK_FADE = 0.02  # of the window's side, from the border of the valid pixels: about the error of a segmentation

_COVER_FADE = 4.0  # mm from hair and occluders: a parser draws their borders less well than the face's own

_HAIR_FADE = 14.0  # mm from where a head goes on under hair: down, thin strands and shadow darken skin towards it

_GAP = 4.0  # mm: half of what is seen of skin at least between strands, fingers or rims

_MIRROR_LIMIT = 0.16  # of skin's mean colour: no more of what is fine on the other side comes over; gloss, furrows and
# shadows are of that side alone, pores and freckles of both

_BEHIND = 0.9  # of what vertices behind glasses say is not believed: their base is that of what lies around

_GLASSES_LIMIT = 0.06  # of skin's mean colour: no more detail than that is taken from behind glasses

_PATTERN_FADE = 0.06  # of the texture's side, 25 mm: so far the skin's pattern is carried on
_PATTERN_LIMIT = 0.06  # of skin's mean colour: no more of it is

_GUTTER = 16  # texels painted around each UV island, so that filtering never mixes in what lies between islands

_PLAIN = ("skin", "nose")  # on a skull, what is carried on is the border of hair

_FINE = ("right_eye", "left_eye", "right_brow", "left_brow", "upper_lip", "lower_lip", "mouth_inside")


@dataclass(frozen=True)
class Unwrapped:
    """A texture and what it is made of, all row 0 at v = 1.

    Attributes:
        photo: (T, T, 3) float32 RGB in [0, 1]: what the photo shows, the rest filled.
        base: (T, T, 3) float32: its smooth part, which the light explains.
        confidence: (T, T) float32: how far a texel comes straight from the photo (1) or is filled (0).
        face, bary: (T, T) int64 and (T, T, 3): which point of the surface each texel is (`texels`).
    """

    photo: np.ndarray
    base: np.ndarray
    confidence: np.ndarray
    face: np.ndarray
    bary: np.ndarray


def unwrap(scene: Scene, pixels: SeenPixels, size: int = 1024) -> tuple[np.ndarray, np.ndarray]:
    """The texture of a face.

    Args:
        pixels: what of the photo may be used (`seen_pixels`).
        size: side of the texture in texels, 16 to 8192.
    Returns:
        (size, size, 3) uint8 RGB, row 0 at v = 1, and (size, size) float32: how far a texel comes straight from the
        photo (1) or is filled (0). The same arguments give the same bytes.
    Raises:
        ValueError: another size, or a mesh behind the camera.
    """
    layers = unwrap_layers(scene, pixels, size)
    return picture(layers.photo, layers.face), layers.confidence


def unwrapped(result: FitResult, size: int = 1024) -> Unwrapped:
    """The layers of a result's own photo, computed once, also for copies of it with other expressions. Raises as
    `unwrap`."""
    return derived(result.sighting, ("unwrapped", size), lambda own: unwrap_layers(own.scene, seen_pixels(own), size))


def unwrap_layers(scene: Scene, pixels: SeenPixels, size: int) -> Unwrapped:
    """As `unwrap`, before it becomes a picture."""
    if not 16 <= size <= 8192:
        raise ValueError(f"texture size is {size} pixels; accepted: 16 to 8192")
    model, faces = scene.model, mesh_faces(scene.model)
    place, mirrored_place = beside(lambda: texels(model, size)), beside(lambda: mirrored_corners(model))
    lit = lit_colours(scene)
    check = check_skin(scene, pixels, seen_colours(scene), size)
    texel_face, texel_bary = place.result()
    colour, confidence = _sample(scene, pixels, check, texel_face, texel_bary)

    lids = closed_lids(scene)
    if lids is not None:
        _scale(confidence, 1 - lids.folded_vertices(), texel_face, texel_bary, faces)

    painted, weight = on_vertices(texel_face, texel_bary, faces, colour, confidence, len(model.verts))
    mirror = model.symmetry.cpu().numpy()
    cut = beside_hidden_mouth(scene, np.maximum(weight, weight[mirror]))
    _scale(confidence, 1 - cut, texel_face, texel_bary, faces)
    glasses = behind_glasses(scene, pixels)
    weight *= check.at(scene) * (1 - cut) * (1 - _BEHIND * glasses)
    smooth = complete(painted, weight, lit, faces, scene.verts_in("model"), mirror)
    base = vertex_picture(texel_face, texel_bary, faces, smooth)

    detail = (colour - base) * confidence[..., None]
    mean = max(float(lit.mean()), 1e-3)
    _soften(detail, glasses / (_GLASSES_LIMIT * mean), texel_face, texel_bary, faces)
    mirror_uv, mirrored = mirrored_place.result()
    texture, told = np.zeros_like(colour), np.zeros_like(confidence)
    over_rows(
        kernels.compose, size,
        texel_face, texel_bary, mirror_uv, mirrored, _mirror_limit(model, mean), base, detail, confidence, texture,
        told,
    )  # fmt: skip
    skin = np.isin(model.vertex_label.cpu().numpy(), [LABEL[name] for name in _PLAIN])[faces].all(1)
    skin_texels = skin[texel_face] & (texel_face >= 0)
    texture = carry_on(texture, base, told, skin_texels, _PATTERN_FADE * size, _PATTERN_LIMIT * mean)
    return Unwrapped(texture, base, confidence, texel_face, texel_bary)


def _scale(
    values: np.ndarray, factor: np.ndarray, texel_face: np.ndarray, texel_bary: np.ndarray, faces: np.ndarray
) -> None:
    """Multiply texels (T, T) by a factor of the vertices (V,)."""
    where = _touched(factor != 1, texel_face, faces)
    values[where] *= np.einsum("nk,nk->n", texel_bary[where], factor[faces[texel_face[where]]]).astype(np.float32)


def _soften(
    detail: np.ndarray, strength: np.ndarray, texel_face: np.ndarray, texel_bary: np.ndarray, faces: np.ndarray
) -> None:
    """Hold details (T, T, 3) softly below 1 / strength (V,)."""
    where = _touched(strength > 0, texel_face, faces)
    own = np.einsum("nk,nk->n", texel_bary[where], strength[faces[texel_face[where]]])
    size = np.abs(detail[where]).max(1)
    detail[where] /= np.sqrt(1 + (own * size) ** 2)[:, None]


def _touched(chosen: np.ndarray, texel_face: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(T, T) bool: texels of triangles with a vertex that is chosen (V,)."""
    return chosen[faces].any(1)[texel_face] & (texel_face >= 0)


def picture(texture: np.ndarray, face: np.ndarray) -> np.ndarray:
    """(T, T, 3) float RGB -> uint8, with the gutter of the islands, `face` (T, T) >= 0, filled."""
    return (np.clip(fill_gutter(texture, face >= 0), 0, 1) * 255 + 0.5).astype(np.uint8)


def texels(model: FaceModel, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which point of the surface each texel is: (size, size) int64 face, -1 outside the islands, and (size, size, 3)
    barycentric weights. Row 0 is at v = 1."""
    uv = model.uv.cpu().double()
    clip = torch.cat([2 * uv - 1, torch.zeros(len(uv), 1), torch.ones(len(uv), 1)], 1)
    rast = load_renderer("cpu").rasterize(clip[None].float(), model.uv_faces.cpu(), size)[0].numpy()
    bary = np.stack([rast[..., 0], rast[..., 1], 1 - rast[..., 0] - rast[..., 1]], -1)
    return rast[..., 3].astype(np.int64) - 1, bary


def _sample(
    scene: Scene, pixels: SeenPixels, check: SkinCheck, texel_face: np.ndarray, texel_bary: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The photo at each texel (T, T, 3) float32, and how far to trust it (T, T) float32."""
    size = texel_face.shape[0]
    colour, confidence = np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.float32)
    faces, verts = mesh_faces(scene.model), scene.verts_in("camera")
    left, top, right, bottom = scene.box()
    height, width = pixels.photo.shape[:2]
    x0, y0 = max(0, int(left) - 2), max(0, int(top) - 2)
    x1, y1 = min(width, int(right) + 3), min(height, int(bottom) + 3)
    if x1 <= x0 or y1 <= y0:
        return colour, confidence

    side = max(right - left, bottom - top) * 1.02 + 2
    around = make_window(((left + right - side) / 2, (top + bottom - side) / 2), side, int(min(max(side, 192), 640)))
    seen = scene.view(around)
    piece = connected_pieces(polygon_sides(faces), len(verts))
    component = np.where(seen.seen, piece[faces[seen.face, 0]], -1).astype(np.int32)
    focal, centre = (value[0].double().cpu().numpy() for value in (scene.camera.focal, scene.camera.centre))
    footprint = scene.pixel_in(around)

    levels = [np.ascontiguousarray(pixels.photo[y0:y1, x0:x1])]
    while len(levels) < 4:
        levels.append(kernels.half(levels[-1]))
    window = check.window
    over_rows(
        kernels.sample_photo, size,
        texel_face, texel_bary, faces, verts, scene.normals()[0].double().numpy(), focal, centre,
        tuple(levels), _levels(scene.model, scene.camera, verts, size), np.array([x0, y0], np.float64),
        _near_surface(seen, footprint, component), seen.depth,
        component, piece, around.origin[0].double().numpy(), float(around.scale),
        _trusted(pixels, check), window.origin[0].double().cpu().numpy(), float(window.scale),
        1.0 + 2 * footprint, colour, confidence,
    )  # fmt: skip
    return colour, confidence


def _levels(model: FaceModel, camera: Camera, verts: np.ndarray, size: int) -> np.ndarray:
    """(F,) log2 of the photo pixels under the side of a texel, at least 0: the picture to sample without aliasing."""
    focal = camera.focal[0].double().cpu().numpy()
    pixels = focal * verts[:, :2] / np.maximum(-verts[:, 2:], 1.0)
    uv = model.uv.cpu().double().numpy() * size

    def area(corners: np.ndarray) -> np.ndarray:
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])

    ratio = area(pixels[mesh_faces(model)]) / np.maximum(area(uv[model.uv_faces.cpu().numpy()]), 1e-9)
    return np.clip(0.5 * np.log2(np.maximum(ratio, 1e-9)), 0, 3)


def _near_surface(seen: View, footprint: float, component: np.ndarray) -> np.ndarray:
    """(R, R) float32: 0 at the silhouette, at depth edges and where eyeballs and teeth border on skin; 1 well away from
    all of them. A fit is never exact to the pixel, so beside an edge the photo may show what lies behind it.

    Args:
        footprint: mm a pixel of the view; component: (R, R) number of the connected piece of the mesh seen.
    """
    far = np.where(seen.seen, seen.depth, 1e9)
    smooth = ndimage.maximum_filter(far, 3) - ndimage.minimum_filter(far, 3) < max(_DEPTH_EDGE, 8 * footprint)
    whole = ndimage.maximum_filter(component, 3) == ndimage.minimum_filter(component, 3)

    def fade(inside: np.ndarray, width: float) -> np.ndarray:
        return smoothstep((ndimage.distance_transform_edt(inside) - 0.5) * footprint / max(width, footprint))

    outer = fade(ndimage.minimum_filter(seen.seen, 3), _SILHOUETTE_FADE)
    return np.minimum(outer, np.minimum(fade(smooth, _EDGE_FADE), fade(whole, _LID_FADE))).astype(np.float32)


def _trusted(pixels: SeenPixels, check: SkinCheck) -> np.ndarray:
    """(S, S) float32 in the check's pixels: 0 outside the person's own pixels, 1 well inside them."""
    window = check.window
    # nobody's mask has a channel for teeth: where the mesh shows them, and something as pale as they are
    valid = (check.sharper(pixels.valid) & ~check.foreign) | check.teeth
    corner = window.origin[0].double().cpu().numpy()
    centres = (np.arange(window.size) + 0.5) / float(window.scale)
    height, width = pixels.photo.shape[:2]
    columns, rows = corner[0] + centres, corner[1] + centres
    valid &= ((rows > 0) & (rows < height))[:, None] & ((columns > 0) & (columns < width))
    # nothing is known beyond the window, so it fades there too
    distance = ndimage.distance_transform_edt(np.pad(valid, 1))[1:-1, 1:-1] - 1.0
    trust = smoothstep(distance / (_MASK_FADE * window.size))
    over = check.sharper(pixels.covered) | check.foreign
    if over.any():
        free = ndimage.distance_transform_edt(~over) * check.pixel
        # wider places and what lies around them as far as they reach; eyes and lips are narrow by themselves
        wide = ndimage.distance_transform_edt(free < _GAP) * check.pixel < _GAP
        trust *= smoothstep((free - 1.0) / _COVER_FADE) * wide
    if check.beyond.any():
        free = ndimage.distance_transform_edt(~check.beyond) * check.pixel
        beyond = check.beyond | check.foreign & (free < _HAIR_FADE)  # thin locks in front of an ear
        # squared: where it is faint, the mirrored texel comes on top, which is faint for the same reason
        trust *= smoothstep((ndimage.distance_transform_edt(~beyond) * check.pixel - 1.0) / _HAIR_FADE) ** 2
    return trust.astype(np.float32)


def on_vertices(
    texel_face: np.ndarray, texel_bary: np.ndarray, faces: np.ndarray, colour: np.ndarray, confidence: np.ndarray,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Mean photo colour around each vertex (V, 3), and how much of it was seen (V,) in [0, 1]."""
    total, weight, area = np.zeros((count, 3)), np.zeros(count), np.zeros(count)
    kernels.gather_vertices(texel_face, texel_bary, faces, colour, confidence, total, weight, area)
    return total / np.maximum(weight, 1e-9)[:, None], weight / np.maximum(area, 1e-9)


def _mirror_limit(model: FaceModel, mean: float) -> np.ndarray:
    """(F,) what the detail of a triangle that is mirrored stays below; brows, lips and eyes come over whole."""
    fine = np.isin(model.vertex_label.cpu().numpy(), [LABEL[name] for name in _FINE])[mesh_faces(model)].any(1)
    return np.where(fine, 1e3, _MIRROR_LIMIT * mean)


def lit_colours(scene: Scene) -> np.ndarray:
    """(V, 3) the fitted albedo under the fitted light, as far as both hold all around a head (`held_albedo`,
    `held_shading`)."""
    return np.clip(held_albedo(scene) * held_shading(scene), 0, 1)


def mirrored_corners(model: FaceModel) -> tuple[np.ndarray, np.ndarray]:
    """Where the mirror image of each triangle lies in the texture.

    Returns:
        (F, 3, 2) float64 texture coordinates of the mirrored corners, and (F,) bool: whether there are any. Where the
        two sides of the face are cut into triangles differently, the corners of the neighbouring ones stand in, unless
        they lie on both sides of a cut of the layout.
    """
    faces, uv_faces = model.faces.cpu().numpy(), model.uv_faces.cpu().numpy()
    uv, symmetry = model.uv.cpu().double().numpy(), model.symmetry.cpu().numpy()
    count = len(model.verts)

    def key(triples: np.ndarray) -> np.ndarray:
        a, b, c = np.sort(triples, 1).T
        return (a * count + b) * count + c

    wanted, known = symmetry[faces], key(faces)
    order = np.argsort(known, kind="stable")
    place = np.minimum(np.searchsorted(known[order], key(wanted)), len(known) - 1)
    twin = order[place]
    matched = known[twin] == key(wanted)
    corner = (faces[twin][:, None, :] == wanted[:, :, None]).argmax(2)
    mirror = uv[np.take_along_axis(uv_faces[twin], corner, 1)]

    any_uv = np.zeros(count, np.int64)
    any_uv[faces.reshape(-1)] = uv_faces.reshape(-1)
    mirror = np.where(matched[:, None, None], mirror, uv[any_uv[wanted]])

    def longest(corners: np.ndarray) -> np.ndarray:
        return np.linalg.norm(corners - np.roll(corners, 1, 1), axis=2).max(1)

    close = longest(mirror) <= 3 * longest(uv[uv_faces]) + 1e-6
    return np.ascontiguousarray(mirror), matched | close


def fill_gutter(texture: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A texture (S, S, 3) with the surroundings of its islands, `inside` (S, S) bool, painted with their nearest texel,
    and the rest with the mean colour."""
    if inside.all() or not inside.any():
        return texture
    row, column = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    mean = texture[inside].mean(0)
    steps = np.arange(len(texture), dtype=row.dtype)
    near = ((row - steps[:, None]) ** 2 + (column - steps) ** 2 <= _GUTTER**2)[..., None]
    return np.where(near, texture[row, column], mean)

"""The photo, unwrapped into the model's UV layout at the photo's own resolution; what it does not show is filled.

Each texel is a point of the fitted surface. It is projected into the photo and sampled there, if the mesh does not hide
it, if it faces the camera, and if the observation calls that pixel the person's skin, eyes, brows, lips or nose: hair,
hands, glasses and background are not baked in. The rest is filled in two bands, which leaves no seam:

    texture = base + detail
    base    the fitted albedo under the fitted light, plus a smooth correction towards the photo, which is diffused over
            the mesh (not over the UV layout, whose cuts would show)
    detail  photo - base where the photo shows the texel; that of the mirrored texel where it shows only that one
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from ..anatomy.parts import LABEL, MASKS
from ..compute.smoothstep import smoothstep
from ..fit.result import FitResult
from ..geometry.camera import Camera, WindowTransform
from ..geometry.mesh_graph import connected_pieces, edge_matrix, mesh_edges, polygon_sides
from ..model.face_model import FaceModel
from ..render import load_renderer
from ..render.lighting import shade
from ..render.view import View, make_window
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene
from . import texture_kernels as kernels

_SILHOUETTE_FADE = 3.0  # mm from the background over which the photo fades in: about the error of a good fit

_EDGE_FADE = 1.2  # mm from a depth edge inside the face (nose over cheek), where landmarks hold the fit

_LID_FADE = 0.5  # mm from where lids border on eyeballs or lips on teeth: eyes are few pixels and must be kept

_DEPTH_EDGE = 4.0  # mm between neighbouring pixels; less is a slope or an eyelid

_MASK_FADE = 0.02  # of the window's side, from the border of the valid pixels: about the error of a segmentation

_SMOOTH = 15.0  # mm: what is broader goes into the base, what is finer (brows, lips, pores) into the detail

_GUTTER = 16  # texels painted around each UV island, so that filtering never mixes in what lies between islands


@dataclass(frozen=True)
class SeenPixels:
    """What a texture is taken from.

    Attributes:
        photo: (H, W, 3) uint8, what the scene's camera refers to.
        window: photo pixels -> pixels of the masks (B = 1).
        valid: (S, S) bool, where the person's skin, eyes, brows, lips or nose are seen.
        covered: (S, S) bool, where hair or something else lies over the face.
    """

    photo: np.ndarray
    window: WindowTransform
    valid: np.ndarray
    covered: np.ndarray


def seen_pixels(result: FitResult) -> SeenPixels:
    """What a fit was held against."""
    masks = result.observation.part_masks[0].cpu().numpy()
    covered = np.maximum(masks[MASKS.index("hair")], masks[MASKS.index("occluder")]) > 0.5
    return SeenPixels(result.photo, result.window, result.observation.valid[0].cpu().numpy() > 0.5, covered)


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
    if not 16 <= size <= 8192:
        raise ValueError(f"texture size is {size} pixels; accepted: 16 to 8192")
    model, faces = scene.model, mesh_faces(scene.model)
    texel_face, texel_bary = texels(model, size)
    colour, confidence = _sample(scene, pixels, texel_face, texel_bary)

    painted, weight = _on_vertices(texel_face, texel_bary, faces, colour, confidence, len(model.verts))
    rendered = _rendered(scene, weight)
    correction = _diffuse(painted - rendered, weight, faces, scene.verts_in("model"))
    base = np.zeros_like(colour)
    smooth = (rendered + correction).astype(np.float32)
    kernels.over_rows(kernels.spread, size, texel_face, texel_bary, faces, smooth, base)

    detail = (colour - base) * confidence[..., None]
    mirror_uv, mirrored = mirrored_corners(model)
    texture = np.zeros_like(colour)
    kernels.over_rows(
        kernels.compose, size, texel_face, texel_bary, mirror_uv, mirrored, base, detail, confidence, texture
    )
    texture = fill_gutter(texture, texel_face >= 0)
    return (np.clip(texture, 0, 1) * 255 + 0.5).astype(np.uint8), confidence


def texels(model: FaceModel, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which point of the surface each texel is: (size, size) int64 face, -1 outside the islands, and (size, size, 3)
    barycentric weights. Row 0 is at v = 1."""
    uv = model.uv.cpu().double()
    clip = torch.cat([2 * uv - 1, torch.zeros(len(uv), 1), torch.ones(len(uv), 1)], 1)
    rast = load_renderer("cpu").rasterize(clip[None].float(), model.uv_faces.cpu(), size)[0].numpy()
    bary = np.stack([rast[..., 0], rast[..., 1], 1 - rast[..., 0] - rast[..., 1]], -1)
    return rast[..., 3].astype(np.int64) - 1, bary


def _sample(
    scene: Scene, pixels: SeenPixels, texel_face: np.ndarray, texel_bary: np.ndarray
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
    footprint = float(np.median(-verts[:, 2])) / float(focal[0] * around.scale)  # mm a pixel of the view

    levels = [np.ascontiguousarray(pixels.photo[y0:y1, x0:x1])]
    while len(levels) < 4:
        levels.append(kernels.half(levels[-1]))
    window = pixels.window
    kernels.over_rows(
        kernels.sample_photo, size,
        texel_face, texel_bary, faces, verts, scene.normals()[0].double().numpy(), focal, centre,
        tuple(levels), _levels(scene.model, scene.camera, verts, size), np.array([x0, y0], np.float64),
        _near_surface(seen, footprint, component), seen.depth,
        component, piece, around.origin[0].double().numpy(), float(around.scale),
        _trusted(scene, pixels), window.origin[0].double().cpu().numpy(), float(window.scale),
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


def _trusted(scene: Scene, pixels: SeenPixels) -> np.ndarray:
    """(S, S) float32 in window pixels: 0 outside the person's own pixels, 1 well inside them."""
    window = pixels.window
    # nobody's mask has a channel for teeth and tongue: where the mesh shows them and nothing covers them
    labels = scene.parts_in(scene.view(window))
    valid = pixels.valid | (labels == LABEL["mouth_inside"]) & ~pixels.covered
    corner = window.origin[0].double().cpu().numpy()
    centres = (np.arange(window.size) + 0.5) / float(window.scale)
    height, width = pixels.photo.shape[:2]
    columns, rows = corner[0] + centres, corner[1] + centres
    valid &= ((rows > 0) & (rows < height))[:, None] & ((columns > 0) & (columns < width))
    # nothing is known beyond the window, so it fades there too
    distance = ndimage.distance_transform_edt(np.pad(valid, 1))[1:-1, 1:-1] - 1.0
    return smoothstep(distance / (_MASK_FADE * window.size)).astype(np.float32)


def _on_vertices(
    texel_face: np.ndarray, texel_bary: np.ndarray, faces: np.ndarray, colour: np.ndarray, confidence: np.ndarray,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Mean photo colour around each vertex (V, 3), and how much of it was seen (V,) in [0, 1]."""
    total, weight, area = np.zeros((count, 3)), np.zeros(count), np.zeros(count)
    kernels.gather_vertices(texel_face, texel_bary, faces, colour, confidence, total, weight, area)
    return total / np.maximum(weight, 1e-9)[:, None], weight / np.maximum(area, 1e-9)


def _rendered(scene: Scene, weight: np.ndarray) -> np.ndarray:
    """(V, 3) albedo under the fitted light. The light was estimated from the normals that the photo shows; on others it
    is held to the shades that occur there, where an SH polynomial would run off."""
    normals = scene.normals()
    with torch.no_grad():
        albedo = scene.model.albedo(scene.parameters.albedo)[0].cpu().double().numpy().clip(0, 1)
        shades = shade(torch.ones_like(normals), normals, scene.parameters.sh.detach().cpu().float())[0]
    shading = shades.double().numpy()
    known = shading[weight > 0.3]
    low, high = np.percentile(known, (5, 95), axis=0) if len(known) > 20 else (np.full(3, 0.4), np.full(3, 1.2))
    return np.clip(albedo * np.clip(shading, low, high), 0, 1)


def _diffuse(difference: np.ndarray, weight: np.ndarray, faces: np.ndarray, verts: np.ndarray) -> np.ndarray:
    """The smooth field (V, 3) near `difference` where it has weight, carried on over the mesh where it has none.

    Minimises sum weight (x - difference)^2 + (smooth / edge)^2 sum over edges (x_i - x_j)^2; a trace of a pull to zero
    makes it unique on parts that the photo does not show at all.
    """
    count = len(verts)
    edges = mesh_edges(faces)
    length = float(np.linalg.norm(verts[edges[:, 0]] - verts[edges[:, 1]], axis=1).mean())
    stiffness = (_SMOOTH / max(length, 1e-3)) ** 2
    adjacency = edge_matrix(edges, np.full(len(edges), stiffness), count).tocsc()
    diagonal = np.asarray(adjacency.sum(1)).ravel() + weight + 1e-4
    system = (sparse.diags(diagonal) - adjacency).tocsc()
    solver = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return solver.solve(weight[:, None] * difference)


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

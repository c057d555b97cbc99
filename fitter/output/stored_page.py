"""The page of a fit that was written earlier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..fit.summary import Summary, model_block
from ..model.face_model import FaceModel
from ..render.view_kernels import vertex_picture
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene
from .albedo import albedo_layer
from .morph_targets import morph_targets
from .read_back import FitFile, load_photo, load_scene
from .read_texture import normal_map, painted
from .result_format import read_result
from .texture import Unwrapped, lit_colours, picture, texels
from .viewer_face import MAP_SIZE, face_page, shot


def stored_page(fit: FitFile, model: FaceModel, name: str, photo: Path | None = None) -> bytes:
    """The page of a written fit, its texture as it was written.

    Args:
        model: that it was fitted with. name: of the page, without a suffix.
        photo: where the photo lies; None: where it was. One that is gone from there is left out.
    Raises:
        InputError: JSON or mesh are damaged, or the photo is another one. ImageError: the named photo is none.
    """
    scene = load_scene(fit, model)
    if photo is not None:
        fit = replace(fit, document=fit.document | {"photo": fit.document["photo"] | {"path": str(photo)}})
    pixels = load_photo(fit) if fit.photo is not None and (photo is not None or fit.photo.is_file()) else None
    texture = stored_texture(fit, scene)
    title = Path(fit.document["photo"]["path"]).name or name
    return face_page(
        scene, morph_targets(scene), texture, name, title=title, figures=stored_figures(fit, model),
        shots=[] if pixels is None else [shot(scene, pixels)], albedo=stored_albedo(scene, texture),
        normals=stored_normals(fit),
    ).html()  # fmt: skip


def stored_figures(fit: FitFile, model: FaceModel) -> Summary:
    """What a written fit came to. Raises InputError: its JSON is damaged."""
    found = read_result(fit.path)
    assert found is not None  # it was one when it was found
    read = found[1]
    return Summary(read.status, read.energies, read.part_iou, read.landmark_error, model_block(model))


def stored_normals(fit: FitFile) -> np.ndarray | None:
    """(T, T, 3) uint8: the written normal map; None without one, or where it is of a finer mesh than the page's.

    Raises:
        InputError: it is damaged.
    """
    detail = fit.document.get("detail")
    return normal_map(fit.mesh) if isinstance(detail, dict) and detail.get("levels") == 0 else None


def stored_texture(fit: FitFile, scene: Scene) -> np.ndarray:
    """(T, T, 3) uint8: the written texture; the fitted face under its light where that is gone.

    Raises:
        InputError: it is damaged.
    """
    model = scene.model
    colours = painted(fit.mesh, len(model.verts))
    if colours is not None and colours.ndim == 3:
        return colours
    face, bary = texels(model, MAP_SIZE)
    values = lit_colours(scene) if colours is None else colours / 255.0
    return picture(vertex_picture(face, bary, mesh_faces(model), values), face)


def stored_albedo(scene: Scene, texture: np.ndarray) -> np.ndarray:
    """(T, T, 3) uint8: a texture without the fitted light, as good as can be told without its photo."""
    face, bary = texels(scene.model, len(texture))
    with torch.no_grad():
        base = vertex_picture(face, bary, mesh_faces(scene.model), lit_colours(scene))
    layers = Unwrapped((texture / 255.0).astype(np.float32), base, np.ones(face.shape, np.float32), face, bary)
    return picture(albedo_layer(scene, layers), face)

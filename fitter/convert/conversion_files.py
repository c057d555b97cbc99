"""`facefit convert` between files: the fit and its model are read back, the converted mesh is written.

The JSON (`format` "facefit-conversion", `format_version` 1) lies beside the mesh. The mesh lies where the source's mesh
lies: in the source's coordinates, so that the two overlay each other.

* `mesh`, `camera`, `landmarks7`, `photo`: as in a result (output.write), for this mesh; `mesh.space` is that of the
  source.
* `model`: the target; `source`: the file that was converted, and the model it was fitted with.
* `parameters`: identity, expression, joints and gaze of the target model; `rotvec` and `translation` map its model
  space to camera space. `mesh_from_model`: X_mesh = R X_model + t, in `mesh.units`, takes its model space to the mesh's
  coordinates.
* `residual`: whether the mesh holds offsets beyond what the parameters give.
* `errors`: mm, "components" (the parameters alone) and "residual" -> "source_to_target" (from each vertex of the
  source's face inside the landmarks' oval to the converted surface) and "target_to_source" -> median, mean, p90,
  vertices.
* `texture`: "source" (repainted), or "albedo" (the target's mean skin: the source's texture was not there).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..anatomy.landmarks import LANDMARK7_NAMES
from ..bundled import model_path
from ..errors import InputError
from ..fit.summary import model_block
from ..model.catalogue import BUNDLED, installed
from ..model.face_model import FaceModel
from ..model.model_file import load_model
from ..output.document import camera_json, finite
from ..output.morph_targets import Morphs, morph_targets
from ..output.paths import output_paths
from ..output.placing import Placing, placing
from ..output.read_back import FitFile, check_model
from ..output.read_texture import painted
from ..output.stored_page import stored_figures
from ..output.texture import texels
from ..output.viewer_face import face_page
from ..output.write import FileStyle, mesh_contents
from ..scene.scene import landmarks7_of
from ..version import VERSION
from ..vocabulary import SPACES
from .convert import Conversion
from .regions import regions
from .texture_transfer import albedo_texture, transfer

FORMAT, FORMAT_VERSION = "facefit-conversion", 1
KEPT = ("identity", "expression", "joints", "gaze", "rotvec", "translation")  # parameters of the target


def source_model(fit: FitFile, model: str | None = None) -> FaceModel:
    """The model that a fit was made with.

    Args:
        model: its name or file; None: the bundled or installed one with the checksum of the fit.
    Raises:
        InputError: it is another one, or none here has that checksum. ModelError: it cannot be read.
    """
    if model is None:
        wanted = fit.document["model"].get("checksum")
        for name, path in {BUNDLED: model_path(), **installed()}.items():
            if path.is_file() and _checksum(path) == wanted:
                model = name
                break
        else:
            used = fit.document["model"]
            known = ", ".join((BUNDLED, *installed()))
            raise InputError(
                f"{fit.path}: fitted with face model {used.get('name')} {used.get('version')} ({str(wanted)[:8]}), "
                f"which is none of {known}; name its file with --model"
            )
    loaded = load_model(model)
    check_model([fit], loaded)
    return loaded


def _checksum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def source_files(fit: FitFile) -> list[Path]:
    """What is read of a fit, and must not be overwritten. Raises InputError: its JSON does not say where they lie."""
    try:
        space = fit.document["mesh"]["space"]
        if space not in SPACES:
            raise ValueError(f"mesh.space is {space!r}; accepted: model, camera")
        files = {fit.path, *output_paths(fit.mesh), *([fit.photo] if fit.photo else [])}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{fit.path}: damaged result: {error}") from None
    return sorted(path for path in files if path.exists())


def conversion_files(
    conversion: Conversion, fit: FitFile, output: Path, style: FileStyle | None = None
) -> dict[Path, bytes]:
    """What is to be written.

    Args:
        fit: what was converted; the texture is taken from the files beside it.
        output: .obj, .ply, .glb or .html.
        style: of the files; the space is that of the fit's mesh.
    Returns:
        path -> content, the mesh first, the JSON last.
    Raises:
        InputError: the source's texture is damaged. OutputError: another suffix.
    """
    paths = output_paths(output)
    space = fit.document["mesh"]["space"]
    style = replace(style or FileStyle(), space=space)
    texture, painted_by = _texture(conversion, fit, style.texture_size)
    contents = mesh_contents(
        paths, conversion.result.model, conversion.verts_in(space), texture, f"{space} space of {fit.path.name}",
        lambda: _morphs(conversion, space), style, page=lambda: _page(conversion, fit, texture, output.stem, space),
    )  # fmt: skip
    place = placing(output, space, style.units)
    document = conversion_json(conversion, fit, output.name, place, texture=len(texture), painted_by=painted_by)
    contents.append((json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    return dict(zip(paths, contents, strict=True))


def _texture(conversion: Conversion, fit: FitFile, size: int) -> tuple[np.ndarray, str]:
    source, result = conversion.source, conversion.result
    image = painted(fit.mesh, len(source.model.verts))
    if image is None:
        flat = albedo_texture(result.model, *texels(result.model, size), fill=True)
        return (flat * 255 + 0.5).astype(np.uint8), "albedo"
    verts = conversion.verts_in("model")
    return transfer(image, source.model, source.verts_in("model"), regions(source.model), result.model, verts,
                    regions(result.model), size), "source"  # fmt: skip


def _page(conversion: Conversion, fit: FitFile, texture: np.ndarray, name: str, space: str) -> bytes:
    title = f"{fit.path.stem} as {conversion.result.model.name}"
    figures = stored_figures(fit, conversion.result.model)
    return face_page(conversion.result, _morphs(conversion, space), texture, name, title=title, figures=figures).html()


def _morphs(conversion: Conversion, space: str) -> Morphs:
    morphs = morph_targets(conversion.result, space)
    if space == "camera":
        return morphs
    # of the target; the mesh lies in the source's
    motion = conversion.motion
    return replace(morphs, base=motion(morphs.base), targets=morphs.targets @ motion.rotation.T)


def conversion_json(
    conversion: Conversion, fit: FitFile, mesh_file: str, place: Placing, *, texture: int = 0,
    painted_by: str = "source",
) -> dict:  # fmt: skip
    """The JSON document of the module's docstring."""
    result, space = conversion.result, fit.document["mesh"]["space"]
    model = result.model
    verts = conversion.verts_in(space)
    tensors = result.parameters.tensors()
    parameters = {name: tensors[name][0].double().tolist() for name in KEPT}
    motion = conversion.motion
    rotation, translation = (motion.rotation, motion.translation) if space == "model" else result.pose()
    return finite(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "mesh": {
                "file": mesh_file, "space": space, "units": place.unit, "up": place.up, "vertices": len(verts),
                "faces": len(model.faces), "texture_size": texture,
            },
            "source": {"file": fit.path.name, "mesh": fit.mesh.name, "model": fit.document["model"]},
            "model": model_block(model),
            "residual": conversion.residual,
            "errors": conversion.errors,
            "errors_convention": "mm inside the landmarks' oval, from the vertices of the one face (no eyeballs, "
            "nothing inside the mouth) to the surface of the other",
            "parameters": parameters,
            "expression": dict(zip(model.expression_names, parameters["expression"], strict=True)),
            "mesh_from_model": {"R": (place.axes @ rotation).tolist(), "t": place(translation).tolist()},
            "camera": camera_json(conversion.source, fit.photo_size, space, place),
            "landmarks7": place(landmarks7_of(model, verts)).tolist(),
            "landmarks7_names": list(LANDMARK7_NAMES),
            "texture": painted_by,
            "photo": fit.document["photo"],
            "seconds": conversion.seconds,
            "versions": {"facefit": VERSION},
        }
    )  # fmt: skip

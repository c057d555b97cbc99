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

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy.landmarks import LANDMARK7_NAMES
from ..errors import InputError
from ..files.outputs import check_outputs, write_files
from ..fit.summary import model_block
from ..model.model_file import load_model
from ..output.document import camera_json, finite
from ..output.morph_targets import Morphs, morph_targets
from ..output.paths import output_paths
from ..output.placing import Placing, placing
from ..output.read_back import FitFile, load_scene, one_fit, source_model
from ..output.read_texture import painted
from ..output.stored_page import stored_figures
from ..output.style import FileStyle
from ..output.texture_picture import vertex_texture
from ..output.viewer_face import face_page
from ..output.write import mesh_contents
from ..scene.scene import landmarks7_of
from ..version import VERSION
from ..vocabulary import SPACES
from .convert import Conversion, convert
from .regions import regions
from .texture_transfer import transfer

FORMAT, FORMAT_VERSION = "facefit-conversion", 1
KEPT = ("identity", "expression", "joints", "gaze", "rotvec", "translation")  # parameters of the target


def convert_file(
    path: Path | str, target: str, output: Path | str, *, model: str | None = None, residual: bool = True,
    inputs: Iterable[Path] = (), **style: Any,
) -> tuple[Conversion, list[Path]]:  # fmt: skip
    """`facefit convert --to`: a fit's files in, the files of the same face in another model out.

    Args:
        path: the JSON of the fit, or the mesh beside it. target: name or file of the other model.
        output: .obj, .ply, .glb or .usdz. model: of the fit, where it is not known here by its checksum.
        residual: as `convert`. inputs: more files that are not to be written over.
        style: as facefit.output.style.FileStyle, but for the space, which is the fit's.
    Raises:
        ValueError: it is in that model already. InputError: no fit, or damaged. ModelError: a model cannot be read.
        OutputError: it cannot be written there.
    """
    fit, output = one_fit(Path(path)), Path(output)
    wanted = load_model(target)
    read = [*source_files(fit), *inputs]
    check_outputs(output_paths(output), read)
    used = source_model(fit, model)
    if used.checksum == wanted.checksum:
        raise ValueError(f"{fit.path}: is in that model already: {target}")
    try:
        conversion = convert(load_scene(fit, used), wanted, residual=residual)
    except ValueError as error:
        raise InputError(f"{fit.path}: {error}") from None
    return conversion, write_files(conversion_files(conversion, fit, output, FileStyle(**style)), read)


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
        return vertex_texture(result.model, result.model.albedo_mean.numpy(), size), "albedo"
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

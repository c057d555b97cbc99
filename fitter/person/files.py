"""A person as files: the neutral head, `<stem>.json`, and on request pictures and meshes of the photos.

The mesh is the head without expression, looking ahead, with the displacement of the shared surface and, as .glb, the
model's expressions as morph targets. Its JSON (`format` "facefit-person", `format_version` 1) describes it by itself:

* `mesh`: file, units, counts; `landmarks7`: the seven evaluation points on it.
* `identity`, `albedo`: what the photos share, in standard deviations of the model's components.
* `displacement`: what the shared surface adds, mm along the normals of the neutral head, a number for each vertex;
  empty where nothing is added. `surface` says how far it was trusted and why, and by what it was multiplied:
  `believed`, for the lights, and `amplitude`, for photos that were held out.
* `wrinkles`: what the expressions add to that, a group of shapes each: `vertices`, and by a shape's name the `height`
  there at activation 1, mm along the same normals. `surface.wrinkles` says of every group what was tested and found.
* `photos`: for each photo its name and path, status, landmark error, Part IoU, `camera` and `parameters` (expression,
  pose, gaze, light), as in the JSON of a single fit, whose coordinates they share.
* `left_out`: photos that are not part of it, and why.
* `model` (with its licence), `config`, `versions`, `seconds`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..detail.refine import wrinkle_moves
from ..detail.wrinkles import Wrinkle
from ..files.picture_bytes import png_bytes
from ..fit.result import FitResult
from ..model.face_model import FaceModel
from ..output.document import finite, result_json
from ..output.morph_targets import morph_targets
from ..output.overlay import PANELS, overlay, overlay_png
from ..output.paths import output_paths
from ..output.placing import Placing, placing
from ..output.style import FileStyle
from ..output.texture_picture import texture_picture
from ..output.textured_view import BACKGROUND, textured_view
from ..output.viewer import Shot
from ..output.viewer_face import album, result_page, shot
from ..output.write import mesh_contents, result_files
from ..scene.parameters import Parameters
from .person import Member, Person
from .texture import Blend

FORMAT, FORMAT_VERSION = "facefit-person", 1

SIDES = (0.0, 40.0, -40.0, 80.0, -80.0, 20.0)  # degrees from which the sheet shows the head
_PANEL = 192  # pixels of a panel of the sheet


Shapes = Callable[[FaceModel, np.ndarray], np.ndarray]
Drawing = Callable[[FitResult, np.ndarray], bytes]


@dataclass(frozen=True)
class PersonFiles:
    """What is written of a person.

    Attributes:
        mesh: the neutral head; what lies beside it follows (`output_paths`).
        pictures: folder of an overlay for each photo. meshes: folder of a posed mesh (.glb and .json) for each photo.
        sheet: a picture of all photos and the head.
        style: how meshes and textures are written; a person's are in model space.
        shapes: what the expressions do to this person: model (on the CPU) and neutral head (V, 3) mm -> (E, V, 3) mm;
            None: what the model says.
        further: pictures by their paths, made of the fit of the most frontal photo and the person's texture.
    """

    mesh: Path
    pictures: Path | None = None
    meshes: Path | None = None
    sheet: Path | None = None
    style: FileStyle = FileStyle()
    shapes: Shapes | None = None
    further: Mapping[Path, Drawing] = field(default_factory=dict)

    def all(self, names: Sequence[str]) -> list[Path]:
        """Every file, for photos of these names."""
        named = [*output_paths(self.mesh), *([self.sheet] if self.sheet else []), *self.further]
        for stem in stems(names):
            named += [self.pictures / f"{stem}_overlay.png"] if self.pictures else []
            named += output_paths(self.meshes / f"{stem}.glb") if self.meshes else []
        return named


def stems(names: Sequence[str]) -> list[str]:
    """A name of a file for each photo: 01_front for people/front.jpg."""
    width = max(2, len(str(len(names))))
    return [f"{place:0{width}d}_{Path(name).stem.replace('#', '_')}" for place, name in enumerate(names, start=1)]


def person_contents(person: Person, files: PersonFiles) -> dict[Path, bytes]:
    """Path -> content of everything, the mesh first. Photos are read again, one after another.

    Raises:
        FaceFitError: a photo is gone, or has changed. OutputError, ValueError: as `result_files`.
    """
    paths, style = output_paths(files.mesh), files.style
    blend = Blend(style.texture_size, style.texture)
    made: dict[str, dict[Path, bytes]] = {}
    panels: dict[str, np.ndarray] = {}
    shots: dict[str, Shot] = {}
    names = stems([member.photo.name for member in person.members])
    shown = [names[place] for place in album(len(names))] if paths[0].suffix.lower() == ".html" else []
    texture = None
    for stem, member in sorted(zip(names, person.members, strict=True), key=lambda pair: pair[1].turned):
        whole, own = member.whole(), made.setdefault(stem, {})
        if stem in shown:
            shots[stem] = shot(whole.scene, whole.photo, stem, weights=_weights(whole))
        if len(person.members) == 1:
            texture = texture_picture(whole, style.texture_size, style.texture)
        else:
            blend.add(whole)
        if files.pictures is not None:
            own[files.pictures / f"{stem}_overlay.png"] = overlay_png(whole.scene, whole.photo)
        if files.sheet is not None:
            panels[stem] = overlay(whole.scene, whole.photo, _PANEL, shown=PANELS[:3])
        if files.meshes is not None:
            own |= result_files(whole, files.meshes / f"{stem}.glb", style)
    if texture is None:
        texture = blend.picture(person.best.result.scene)
    moves = paths[0].suffix.lower() not in (".obj", ".ply")
    head = neutral_result(person, files.shapes if moves else None)
    scene = head.scene
    contents = mesh_contents(
        paths, head.model, scene.verts_in("model"), texture, "model space", lambda: morph_targets(scene), style,
        page=lambda: result_page(head, texture, files.mesh.stem, shots=[shots[stem] for stem in shown]),
    )  # fmt: skip
    document = person_json(person, head, paths[0], style)
    contents.append((json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    written = dict(zip(paths, contents, strict=True))
    if files.sheet is not None:
        written[files.sheet] = png_bytes(_sheet(head, texture, [panels[stem] for stem in names]))
    best = person.best.whole() if files.further else None
    drawn = {} if best is None else {path: draw(best, texture) for path, draw in files.further.items()}
    return written | {path: data for stem in names for path, data in made[stem].items()} | drawn


def _weights(result: FitResult) -> dict[str, float]:
    """The expression of a photo by its shapes' names."""
    return dict(zip(result.model.expression_names, result.parameters.expression[0].tolist(), strict=True))


def neutral_result(person: Person, shapes: Shapes | None = None) -> FitResult:
    """The person without expression, looking ahead, before the camera of the most frontal photo."""
    best = person.best.whole()
    rest = Parameters.zeros(best.model.sizes)
    own = {name: getattr(best.parameters, name) for name in ("identity", "albedo", "sh", "rotvec", "translation")}
    head = replace(best, parameters=replace(rest, **own))
    if shapes is None:
        return head
    moved = shapes(person.model, head.verts)
    if person.surface is not None and person.surface.wrinkles:
        moved = moved + wrinkle_moves(person.model, head.verts, person.surface.wrinkles)
    carried = torch.from_numpy(moved).float()
    # the person's own already: nothing of them depends on the identity any more
    return replace(head, model=head.model.with_expressions(carried))


def person_json(person: Person, head: FitResult, mesh: Path, style: FileStyle) -> dict[str, Any]:
    """The document of the module's docstring. Numbers that are not finite become null.

    Args:
        head: `neutral_result`.
    """
    place = placing(mesh, "model", style.units)
    document = result_json(head, mesh.name, texture=style.texture_size, place=place)
    same = ("mesh", "landmarks7", "landmarks7_names", "landmarks7_convention", "model", "config", "versions")
    return finite(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **{name: document[name] for name in same},
            "identity": document["parameters"]["identity"],
            "albedo": document["parameters"]["albedo"],
            **_surface_json(person),
            "sharing": asdict(person.sharing),
            "photos": [_photo_json(member, mesh, place) for member in person.members],
            "left_out": [asdict(each) for each in person.left_out],
            "seconds": dict(person.seconds),
        }
    )


def _surface_json(person: Person) -> dict[str, Any]:
    """Displacements to a thousandth of a millimetre."""
    surface = person.surface
    if surface is None:
        return {"displacement": [], "surface": None, "wrinkles": []}
    moved = surface.displacement.round(3).tolist() if surface.displacement.any() else []
    multiplied = {"believed": round(surface.trust.believed, 3), "amplitude": round(surface.amplitude, 3)}
    tests = {name: asdict(test) for name, test in surface.tests.items()}
    return {
        "displacement": moved,
        "surface": asdict(surface.trust) | multiplied | {"wrinkles": tests},
        "wrinkles": [_wrinkle_json(wrinkle) for wrinkle in surface.wrinkles],
    }


def _wrinkle_json(wrinkle: Wrinkle) -> dict[str, Any]:
    height = {name: row.round(3).tolist() for name, row in zip(wrinkle.shapes, wrinkle.height, strict=True)}
    return {"vertices": wrinkle.vertices.tolist(), "height": height}


def _photo_json(member: Member, mesh: Path, place: Placing) -> dict[str, Any]:
    """What the JSON of a single fit says of a photo, without what the person's own says."""
    document = result_json(member.result, mesh.name, place=place)
    kept = ("status", "landmark_error", "part_iou", "energies", "camera", "window", "photo")
    own = {name: value for name, value in document["parameters"].items() if name not in ("identity", "albedo")}
    return {"name": member.photo.name, **{name: document[name] for name in kept}, "parameters": own}


def _sheet(head: FitResult, texture: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
    """The head from SIDES above the photos' panels, two photos a line."""
    width = 6 * _PANEL
    views = [textured_view(head.model, head.verts, texture, yaw, _PANEL) for yaw in SIDES]
    lines = [np.concatenate(views, 1)]
    for place in range(0, len(rows), 2):
        pair = rows[place : place + 2]
        lines.append(np.concatenate([*pair, *[np.full_like(rows[0], BACKGROUND)] * (2 - len(pair))], 1))
    return np.concatenate([np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=BACKGROUND)
                           for line in lines])  # fmt: skip

"""A fitted face with its texture and without its photo: what is left of a fit in its files, and what is done with it.

face = load("mesh.json")
face.with_expression(jawOpen=0.5).save("open.glb")
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..files.outputs import write_files
from ..files.picture_bytes import png_bytes
from ..fit.result import FitResult
from ..fit.summary import Summary, model_block
from ..model.face_model import FaceModel
from ..photo.photo import read_photo
from ..scene.expressions import with_expression
from ..scene.scene import Scene
from ..vocabulary import DETAIL_SUFFIXES
from .document import finite, mesh_json, result_json
from .morph_targets import morph_targets
from .paths import normals_paths, output_paths
from .placing import placing
from .read_back import load_scene, one_fit, source_model
from .read_texture import painted_file
from .stored_page import stored_albedo, stored_normals, stored_texture
from .style import FileStyle
from .texture_picture import texture_picture
from .textured_view import textured_view
from .viewer_face import face_page, shot
from .write import mesh_contents

VIEWS = {"front": 0.0, "three quarters": 35.0, "left": -90.0, "right": 90.0}  # degrees of a turn to the head's left
_KEPT = ("normals", "levels", "shown")  # of what a JSON says of its detail, where the mesh is written anew

LARGEST_VIEW = 4096  # pixels


@dataclass(frozen=True, eq=False)
class Face:
    """A face that was fitted.

    Attributes:
        scene: model, parameters and the photo's camera.
        texture: (T, T, 3) uint8, row 0 at v = 1.
        document: the JSON of the fit.
        space: "model" or "camera", of the mesh when it is written.
        inputs: the files it was read from, which are not written over.
        painted: where the texture is from: "photo", "albedo", "file", or "skin" where a file had none.
        normals: (T, T, 3) uint8, the tangent-space normal map of a result with detail; None without.
    """

    scene: Scene
    texture: np.ndarray
    document: dict[str, Any]
    space: str = "model"
    inputs: tuple[Path, ...] = field(default=())
    painted: str = "file"
    normals: np.ndarray | None = None

    def __repr__(self) -> str:
        photo = self.document["photo"]["path"] or "a photo"
        return f"Face({photo}, {self.summary}, {self.model.name} {self.model.version})"

    @property
    def model(self) -> FaceModel:
        """The head model it was fitted with."""
        return self.scene.model

    @property
    def verts(self) -> np.ndarray:
        """(V, 3) float64 mm in model space: upright, facing +z."""
        return self.scene.verts_in("model")

    @property
    def photo_size(self) -> tuple[int, int]:
        """Width and height of the photo in pixels."""
        return self.document["photo"]["width"], self.document["photo"]["height"]

    @property
    def expression(self) -> dict[str, float]:
        """Every unit of the model and its value."""
        return dict(zip(self.model.expression_names, self.scene.parameters.expression[0].tolist(), strict=True))

    @property
    def summary(self) -> Summary:
        """What the fit came to in a few numbers."""
        said = self.document
        return Summary(
            said.get("status", ""), said.get("energies", {}), said.get("part_iou", {}), said.get("landmark_error"),
            model_block(self.model),
        )  # fmt: skip

    def with_expression(
        self, values: Mapping[str, float] | None = None, /, *, keep: bool = True, **units: float
    ) -> Face:
        """The same person with another expression. Args, Raises: as `FitResult.with_expression`."""
        scene = self.scene
        parameters = with_expression(scene.model, scene.parameters, {**(values or {}), **units}, keep)
        measured: dict[str, Any] = {"status": "edited", "energies": {}, "part_iou": {}, "landmark_error": None}
        return replace(
            self, scene=replace(scene, parameters=parameters), document={**self.document, **measured}
        )  # fmt: skip

    def render(self, view: str | float = "front", size: int = 512) -> np.ndarray:
        """(size, size, 3) uint8 RGB: the textured head on grey.

        Args:
            view: one of VIEWS, or degrees that the head is turned to its left. size: 16 to 4096 pixels.
        Raises:
            ValueError: no such view or size.
        """
        if isinstance(view, str) and view not in VIEWS:
            raise ValueError(f"view is {view!r}; accepted: {', '.join(VIEWS)}, or degrees")
        if not 16 <= size <= LARGEST_VIEW:
            raise ValueError(f"size is {size} pixels; accepted: 16 to {LARGEST_VIEW}")
        yaw = VIEWS[view] if isinstance(view, str) else float(view)
        return textured_view(self.model, self.verts, self.texture, yaw, size)

    def files(self, output: Path, style: FileStyle | None = None) -> dict[Path, bytes]:
        """Path -> content, the mesh first, the JSON last.

        Args:
            output: its suffix is the format. style: of the files; the texture is the one that is there.
        Raises:
            OutputError: another suffix.
        """
        style = style or FileStyle(space=self.space)
        paths, scene = output_paths(output), self.scene
        contents = mesh_contents(
            paths, self.model, scene.verts_in(style.space), self.texture, f"{style.space} space",
            lambda: morph_targets(scene, style.space), style, page=lambda: self._page(output.stem, style.space),
            normals=self.normals,
        )  # fmt: skip
        place = placing(output, style.space, style.units)
        about = mesh_json(scene, output.name, self.photo_size, style.space, place, len(self.texture))
        document = finite({**self.document, **about})
        beside, said = {}, document.pop("detail", None)
        if self.normals is not None and output.suffix.lower() in DETAIL_SUFFIXES:
            document["detail"] = {name: said[name] for name in _KEPT if name in said}  # not the heights
            beside = {path: png_bytes(self.normals) for path in normals_paths(output)}
        last = (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()
        return {**dict(zip(paths[:-1], contents, strict=True)), **beside, paths[-1]: last}

    def _page(self, name: str, space: str) -> bytes:
        """The page that shows it, with its photo where that still is."""
        said = self.document["photo"]
        photo = read_photo(said["path"]).pixels if said["path"] and Path(said["path"]).is_file() else None
        if photo is not None and photo.shape[:2] != (said["height"], said["width"]):
            photo = None  # another one
        return face_page(
            self.scene, morph_targets(self.scene, space), self.texture, name, title=Path(said["path"]).name or name,
            figures=self.summary, shots=[] if photo is None else [shot(self.scene, photo, space=space)],
            albedo=stored_albedo(self.scene, self.texture), normals=self.normals,
        ).html()  # fmt: skip

    def save(self, output: Path | str, **style: Any) -> list[Path]:
        """Write it: `face.save("face.glb")`. All files appear together, or none does.

        Beside the mesh that it was read from, the JSON stays as it is, if it holds for the new one too.

        Args:
            style: space, units, quantize, bones and jpeg of facefit.output.style.FileStyle.
        Returns:
            the paths written, the mesh first, the JSON last.
        Raises:
            OutputError: it cannot be written there, or would be written over what it was read from.
        """
        files = self.files(Path(output), FileStyle(**{"space": self.space, **style}))
        *_, document = files
        read = any(document.resolve() == path.resolve() for path in self.inputs)
        if read and self._told(json.loads(files[document])):
            del files[document]
        return write_files(files, self.inputs)

    def _told(self, document: dict[str, Any]) -> bool:
        """Whether the JSON that it was read from says the same of the face, and of where the mesh lies."""
        where = [[each["mesh"].get(name) for name in ("space", "units", "up")] for each in (self.document, document)]
        return where[0] == where[1] and self.document["parameters"] == document["parameters"]


def textured(result: FitResult, texture_size: int = 1024, texture: str = "photo") -> Face:
    """A fit with its texture. Args, Raises: as `facefit.output.texture_picture`."""
    image = texture_picture(result, texture_size, texture)
    inputs = (Path(result.photo_path),) if result.photo_path else ()
    return Face(result.scene, image, result_json(result, ""), inputs=inputs, painted=texture)


def load(path: Path | str, model: str | None = None) -> Face:
    """A fit that was written, back from its files.

    Args:
        path: its JSON, or the mesh beside it.
        model: name or file of the head model; None: the one here with the checksum that the fit names.
    Raises:
        InputError: no fit, damaged, or of a model that is not here. ModelError: that cannot be read.
    """
    fit = one_fit(Path(path))
    used = source_model(fit, model)
    scene = load_scene(fit, used)
    kind = "file" if painted_file(fit.mesh).is_file() else "skin"
    space = fit.document["mesh"].get("space", "model")
    return Face(
        scene, stored_texture(fit, scene), fit.document, space, tuple(fit.files()), kind, stored_normals(fit)
    )  # fmt: skip

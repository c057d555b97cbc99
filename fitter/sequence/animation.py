"""A fitted sequence as files: one animated GLB (or a page .html with it inside), and a JSON with all parameters.

The GLB holds the person's neutral face with the texture of one frame. Its node moves by translation and rotation in
camera space (the camera at the origin looks along -z, as glTF's own camera does, which is in the file too), its morph
targets by their weights, one key a fitted frame. Expressions are exact. Turns of eyes and joints are not linear, so
each has a target for either direction, the chord of a turn of STEP: between 0 and STEP an eyeball's surface is at most
0.2 mm off.

The JSON (`format` "facefit-sequence", `format_version` 1) has what all frames share (`model`, `identity`, `albedo`,
`camera`, `fps`) and for each frame number, seconds, name, status and, where it was fitted, its `parameters`, energies,
Part IoU and landmark error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError, OutputError
from ..files.glb import Animation, perspective, quaternions
from ..files.schema import build, parse, read_text
from ..fit.summary import model_block
from ..geometry.rotation import rotation_matrix
from ..output.morph_glb import morph_glb
from ..output.morph_targets import Morphs
from ..output.result_format import MeshBlock, ModelBlock, MomentBlock
from ..output.style import FileStyle
from ..output.texture_picture import texture_picture
from ..output.write import texture_bytes
from ..scene.parameters import Parameters
from .page import sequence_page
from .sequence import SHARED, FittedFrame, FittedSequence
from .targets import Turn, sequence_targets, turns_of

FORMAT, FORMAT_VERSION = "facefit-sequence", 1


def sequence_paths(output: Path) -> list[Path]:
    """The files that a sequence becomes. Raises OutputError: the name ends neither in .glb nor in .html."""
    if output.suffix.lower() not in (".glb", ".html"):
        raise OutputError(f"{output}: a sequence is written as .glb or .html, which alone can be animated")
    return [output, output.with_suffix(".json")]


def sequence_files(sequence: FittedSequence, output: Path, style: FileStyle | None = None) -> dict[Path, bytes]:
    """Path -> content of the GLB, or of the page that plays it, and of the JSON. The style's space is the camera's,
    whatever it says."""
    mesh, document = sequence_paths(output)
    style = style or FileStyle()
    text = json.dumps(sequence_json(sequence, mesh.name), indent=1, allow_nan=False) + "\n"
    page, best = mesh.suffix.lower() == ".html", sequence.best
    style = replace(style, quantize=True, bones=False, jpeg=True) if page else style
    image = texture_bytes(texture_picture(best, style.texture_size, style.texture), style)
    glb = animated_glb(sequence, image, quantize=style.quantize, bones=style.bones)
    if page:
        title = Path(best.photo_path).name or mesh.stem
        glb = sequence_page(glb, best.parameters.identity, best.model, mesh.stem, title, len(sequence.fitted))
    return {mesh: glb, document: text.encode()}


def animated_glb(sequence: FittedSequence, texture: bytes, *, quantize: bool = False, bones: bool = False) -> bytes:
    """The sequence as one animated GLB; see the module."""
    best, frames = sequence.best, sequence.fitted
    model, turns = best.model, turns_of(best.model)
    names, neutral, targets = sequence_targets(model, best.parameters.identity)
    moved = [frame.parameters for frame in frames if frame.parameters is not None]  # which all that are fitted have
    weights = np.stack([_weights(parameters, turns) for parameters in moved])
    used = np.concatenate([np.ones(len(model.expression_names), bool), (weights[:, -len(turns) :] > 0).any(0)])
    rotation = torch.cat([parameters.rotvec for parameters in moved]).double()
    translation = torch.cat([parameters.translation for parameters in moved]).double().numpy()
    start = frames[0].seconds
    animation = Animation(
        seconds=np.array([frame.seconds - start for frame in frames]),
        translation=translation / 1000,
        rotation=quaternions(rotation_matrix(rotation).numpy()),
        weights=weights[:, used],
        camera=_camera(sequence),
    )
    named = tuple(name for name, needed in zip(names, used, strict=True) if needed)
    return morph_glb(
        model,
        Morphs(neutral, targets[used], named, weights[0, used]),
        texture,
        animation,
        quantize=quantize,
        bones=bones,
    )


def _weights(parameters: Parameters, turns: list[Turn]) -> np.ndarray:
    expression = parameters.expression[0].double().numpy()
    return np.concatenate([expression, [turn.weight(parameters) for turn in turns]])


def _camera(sequence: FittedSequence) -> dict:
    width, height = sequence.best.photo_size
    return perspective(width, height, float(sequence.best.camera.focal[0, 1]))


def sequence_json(sequence: FittedSequence, mesh_file: str) -> dict:
    """The document of the module's docstring."""
    best, model = sequence.best, sequence.best.model
    width, height = best.photo_size
    (fx, fy), (cx, cy) = best.camera.focal[0].tolist(), best.camera.centre[0].tolist()
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mesh": {"file": mesh_file, "space": "camera", "units": "metre, of an animated node"},
        "source": best.photo_path,
        "fps": sequence.fps,
        "smooth": sequence.smooth,
        "camera": {"fx": fx, "fy": fy, "cx": cx, "cy": cy, "width": width, "height": height},
        **{name: getattr(best.parameters, name)[0].tolist() for name in SHARED},
        "expression_names": list(model.expression_names),
        "model": model_block(model),
        "config": best.config,
        "versions": dict(best.versions),
        "frames": [_frame_json(frame) for frame in sequence.frames],
    }  # fmt: skip


def _frame_json(frame: FittedFrame) -> dict:
    out: dict = {"number": frame.number, "seconds": frame.seconds, "name": frame.name, "status": frame.status}
    parameters, summary = frame.parameters, frame.summary
    if parameters is None or summary is None:
        return out | {"error": frame.error}
    return out | {
        "landmark_error": summary.landmark_error,
        "part_iou": summary.parts,
        "energies": summary.energies,
        "parameters": {name: value[0].tolist() for name, value in parameters.tensors().items() if name not in SHARED},
    }


@dataclass(frozen=True)
class FrameBlock:
    """A frame; one that could not be fitted has no parameters."""

    number: int
    parameters: MomentBlock | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class LensBlock:
    """Of all frames, in pixels."""

    fy: float
    width: int
    height: int


@dataclass(frozen=True)
class SequenceDocument:
    """The JSON of a sequence, as far as facefit reads it."""

    mesh: MeshBlock
    model: ModelBlock
    identity: list[float]
    albedo: list[float]
    frames: list[FrameBlock]
    source: str = ""
    camera: LensBlock | None = None


def read_sequence(path: Path) -> tuple[dict, SequenceDocument]:
    """A sequence's JSON as it is and as its format says. Raises InputError: not a file that facefit wrote for one."""
    document = parse(read_text(Path(path)), str(path))
    kind = (document.get("format"), document.get("format_version")) if isinstance(document, dict) else None
    if kind != (FORMAT, FORMAT_VERSION):
        raise InputError(f"{path}: not a facefit sequence of format {FORMAT_VERSION}")
    return document, build(SequenceDocument, document, f"{path}: damaged sequence")


@dataclass(frozen=True)
class ReadFrames:
    """What is read back of a sequence.

    Attributes:
        document: its JSON. numbers, seconds: (F,) of the fitted frames. parameters: theirs, as one batch.
        camera: glTF's, or None where the file does not say.
    """

    document: dict
    numbers: list[int]
    seconds: list[float]
    parameters: Parameters
    camera: dict | None


def load_frames(path: Path) -> tuple[list[int], Parameters]:
    """The numbers of the fitted frames of a sequence's JSON, and their parameters as one batch.

    Raises:
        InputError: not a file that facefit wrote for a sequence.
    """
    found = read_frames(path)
    return found.numbers, found.parameters


def read_frames(path: Path) -> ReadFrames:
    """The fitted frames of a sequence's JSON. Raises InputError as `load_frames`."""
    document, read = read_sequence(path)
    frames = [frame for frame in read.frames if frame.parameters is not None]
    if not frames:
        raise InputError(f"{path}: damaged sequence: frames: none of them has parameters")
    faces = []
    for frame in frames:
        values = {name: getattr(read, name) for name in SHARED} | vars(frame.parameters)
        tensors = {name: torch.tensor(value, dtype=torch.float32)[None] for name, value in values.items()}
        tensors["joints"] = tensors["joints"].reshape(1, -1, 3)  # a model without joints: lists do not say J x 3
        faces.append(Parameters(**tensors))
        for name, value in tensors.items():
            if value.shape != getattr(faces[0], name).shape or not value.isfinite().all():
                raise InputError(
                    f"{path}: damaged sequence: frame {frame.number}: {name} is not like that of other frames"
                )
    lens = read.camera
    camera = None
    if lens is not None and min(lens.fy, lens.width, lens.height) > 0:
        camera = perspective(lens.width, lens.height, lens.fy)
    numbers, seconds = [frame.number for frame in frames], [frame.seconds for frame in frames]
    return ReadFrames(document, numbers, seconds, Parameters.cat(faces), camera)

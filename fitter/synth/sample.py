"""One picture of a synthetic person, and everything that is known of it. It depends on the options and its number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch

from ..anatomy.landmarks import IBUG68
from ..files.mesh_bytes import plain_obj
from ..files.picture_bytes import jpg_bytes, png_bytes
from ..geometry.camera import Camera
from ..geometry.rotation import rotation_vector
from ..model.face_model import FaceModel
from ..version import VERSION
from .brush import blurred
from .expressions import drawn_expression
from .heads import Head
from .occluders import draw_occluder
from .options import SENSOR, SynthOptions
from .people import Person
from .photograph import Photograph, Wishes, photograph
from .truth import Truth, celebamask, truth_of

_WIDE = 2.5  # standard deviations, the largest of an identity's coefficient
_FRAMING = (1.6, 2.4)  # side of the picture over the longer side of the landmarks' box
_SHARP = 0.45  # pixels of blur: a lens and a sensor do not see staircases
_THINGS = ("glasses", "mask", "hand")  # in the order in which they are put on
_IDENTITY, _LOOK, _PHOTO = range(3)  # what the numbers are drawn for


@dataclass(frozen=True)
class Sample:
    """A picture and what is known of it.

    Attributes:
        picture: (S, S, 3) uint8.
        labels, below: (S, S) uint8 of facefit.anatomy.parts.LABELS: what is seen; and without glasses, hands and masks.
        shot: the head, as it was photographed. person: who. truth: of the mesh.
        about: of JSON.
    """

    picture: np.ndarray
    labels: np.ndarray
    below: np.ndarray
    shot: Photograph
    person: Person
    expression: np.ndarray
    truth: Truth
    about: dict


def sample_name(person: int, photo: int) -> str:
    """000012_03: photo 3 of person 12."""
    return f"{person:06d}_{photo:02d}"


def make_sample(head: Head, model: FaceModel, options: SynthOptions, number: int, photo: int) -> Sample:
    """Photo `photo` of person `number`. The head is made of the model."""
    rng = np.random.default_rng((options.seed, number, _PHOTO, photo))
    who = np.random.default_rng((options.seed, number, _IDENTITY))
    strength = who.uniform(0.7, 1.1)
    identity = (who.standard_normal(len(head.identity)) * strength).clip(-_WIDE, _WIDE).astype(np.float32)
    haired = bool(who.random() < options.hair)
    wanted = str(rng.choice(options.expressions))
    yaw = np.radians(options.yaw) * np.sign(rng.standard_normal()) * rng.beta(1.0, 1.4)
    pitch, roll = np.radians([rng.normal(0, 9), rng.normal(0, 7)]).clip(-0.45, 0.45)
    gaze = np.radians([rng.normal(0, 12), rng.normal(0, 7)]).clip(-0.5, 0.5)
    pair = (np.stack([gaze, gaze]) + np.radians(rng.normal(0, 1, (2, 2)))).astype(np.float32)
    focal = float(np.exp(rng.uniform(*np.log(options.focal))))
    expression = drawn_expression(wanted, head.expression_names, model.activation, gaze, rng)
    person = Person(identity, {}, pair, (float(yaw), float(pitch), float(roll)), focal / SENSOR)
    verts = shaped(model, identity, expression, pair)
    wishes = Wishes((options.seed, number, _LOOK), haired, options.light)
    shot = photograph(head, rng, options.size, person, None, rng.uniform(*_FRAMING), verts, wishes)

    image, labels = blurred(shot.image, _SHARP), shot.labels
    things = [
        name
        for name, share in zip(_THINGS, (options.glasses, options.masks, options.hands), strict=True)
        if rng.random() < share
    ]
    for name in things:
        image, labels = draw_occluder(image, labels, shot.landmarks, rng, name)
    noise = rng.uniform(0, options.noise)
    image = image + np.float32(noise) * rng.standard_normal(image.shape, np.float32)
    quality = None if options.jpeg is None else int(rng.integers(options.jpeg[0], options.jpeg[1] + 1))
    centre = torch.full((1, 2), options.size / 2)
    camera = Camera(torch.full((1, 2), shot.focal), centre)
    points = (shot.verts @ shot.rotation.T + shot.translation).astype(np.float32)
    truth = truth_of(model, points, camera, labels)
    turned = dict(zip(("yaw", "pitch", "roll"), (round(float(v), 3) for v in np.degrees(person.pose)), strict=True))
    about = {
        "person": number, "photo": photo, "seed": options.seed, "facefit": VERSION,
        "model": {"name": model.name, "version": model.version, "license": model.license, "sha256": model.checksum},
        "expression": wanted,
        "activations": {
            name: round(float(value), 4)
            for name, value in zip(model.expression_names, expression, strict=True)
            if value != 0
        },
        "pose": turned,
        "camera": {
            "focal": shot.focal, "centre": [options.size / 2] * 2, "focal_35mm": focal,
            "distance": float(-truth.points[:, 2].mean()),
        },
        "light": {
            "to_light": shot.light.rotation[2].tolist(), "key": shot.light.key, "warmth": shot.light.warmth.tolist(),
            "sky": shot.light.sky, "sh": shot.light.sh.tolist(), "gloss": [shot.light.shine, shot.light.power],
        },
        "hair": haired, "things": things, "noise": noise, "jpeg": quality,
    }  # fmt: skip
    picture = (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return Sample(picture, labels, shot.labels, shot, person, expression, truth, about)


def shaped(model: FaceModel, identity: np.ndarray, expression: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """(I,), (E,), (2, 2) -> (V, 3) float32 mm in the model's axes."""
    given = (torch.from_numpy(value)[None] for value in (identity, expression, gaze))
    with torch.no_grad():
        return model.shape(*given)[0].numpy()


def sample_arrays(sample: Sample) -> dict[str, np.ndarray]:
    """The arrays of the table in docs/synthetic.md."""
    truth, shot = sample.truth, sample.shot
    jaw = list(IBUG68)
    return {
        "labels": sample.labels,
        "labels_below": sample.below,
        "celebamask19": celebamask(sample.labels, shot.clothes, truth.landmarks),
        "depth": truth.depth,
        "normals": np.rint(truth.normals * 127).astype(np.int8),
        "uv": np.rint(truth.uv * 65535).astype(np.uint16),
        "landmarks": truth.landmarks.astype(np.float32),
        "landmarks_3d": truth.points.astype(np.float32),
        "landmarks_visible": truth.visible,
        "landmarks68": truth.landmarks[jaw].astype(np.float32),
        "landmarks68_3d": truth.points[jaw].astype(np.float32),
        "identity": sample.person.identity,
        "expression": sample.expression,
        "gaze": sample.person.gaze,
        "rotvec": rotation_vector(torch.from_numpy(shot.rotation).double()[None])[0].numpy().astype(np.float32),
        "translation": shot.translation.astype(np.float32),
        "focal": np.full(2, shot.focal, np.float32),
        "centre": np.full(2, len(sample.labels) / 2, np.float32),
        "sh": shot.light.sh,
    }


def sample_files(sample: Sample, options: SynthOptions, faces: np.ndarray) -> Iterator[tuple[str, bytes]]:
    """Suffix and bytes of each file; the picture first. faces: (F, 3) of the mesh."""
    quality = sample.about["jpeg"]
    yield (".png", png_bytes(sample.picture)) if quality is None else (".jpg", jpg_bytes(sample.picture, quality))
    arrays = sample_arrays(sample)
    if options.mesh == "npz":
        arrays["verts"] = sample.shot.verts
    stream = BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    yield ".npz", stream.getvalue()
    if options.mesh == "obj":
        yield ".obj", plain_obj(sample.shot.verts, faces)
    yield ".json", (json.dumps(sample.about) + "\n").encode()


def sample_suffixes(options: SynthOptions) -> list[str]:
    """Of the files that a sample has."""
    picture = ".png" if options.jpeg is None else ".jpg"
    return [picture, ".npz", *([".obj"] if options.mesh == "obj" else []), ".json"]

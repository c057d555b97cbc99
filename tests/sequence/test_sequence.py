"""A sequence: the frames of one person have one identity, follow each other, and become one animated file."""

import io
import json

import numpy as np
import pytest
import torch
from helpers.gltf_reader import Glb
from helpers.rendered_face import person, photograph, together, with_expressions

from facefit.errors import InputError, NoFaceError, OutputError
from facefit.fit.config import FitConfig, override
from facefit.fit.instruments import Instruments
from facefit.fit.warm_start import WarmStart
from facefit.geometry.camera import to_camera_space
from facefit.model.pieces import face_pieces
from facefit.observe.faces import DetectedFace
from facefit.observe.segment.load import load_segmenter
from facefit.output.style import FileStyle
from facefit.photo.frames import Frame
from facefit.photo.photo import Photo
from facefit.render import load_renderer
from facefit.sequence.animation import (
    animated_glb,
    load_frames,
    quaternions,
    sequence_files,
    sequence_json,
    sequence_paths,
)
from facefit.sequence.sequence import SHARED, SequenceFitter
from facefit.sequence.smooth import smoothed
from facefit.sequence.targets import GAZE_STEP

SIDE, COUNT = 96, 4


class Detector:
    """Knows the landmarks of each picture; a bystander, larger, comes into the later ones."""

    def __init__(self, pictures, landmarks):
        self.known = {picture.tobytes(): points for picture, points in zip(pictures, landmarks, strict=True)}

    def detect(self, pixels):
        points = self.known.get(pixels.tobytes())
        if points is None:
            return []
        faces = [DetectedFace(points.astype(np.float32), np.zeros(478, np.float32), 0.9)]
        if len(self.known) and points is list(self.known.values())[-1]:
            large = (points - points.mean(0)) * 2 + points.mean(0) + 300
            faces.insert(0, DetectedFace(large.astype(np.float32), np.zeros(478, np.float32), 0.9))
        return faces


@pytest.fixture(scope="module")
def model(default_model):
    """With a few expressions, of which the file holds each."""
    return with_expressions(default_model, "jawOpen", "mouthSmile", "eye")


@pytest.fixture(scope="module")
def truth(model):
    """One person who turns and opens the mouth."""
    return together(
        *(person(model, seed=3, yaw=-12.0 + 8.0 * k, jawOpen=0.15 * k, mouthSmileLeft=0.2) for k in range(COUNT))
    )


@pytest.fixture(scope="module")
def fitter(model, truth):
    observation = photograph(model, truth, SIDE).observation
    pictures = (observation.image.numpy() * 255).astype(np.uint8)
    instruments = Instruments(
        model=model, detector=Detector(pictures, observation.landmarks.numpy()), segmenter=load_segmenter("polygons"),
        renderer=load_renderer("cpu"), config=override(FitConfig(), iterations=2),
    )  # fmt: skip
    fitter = SequenceFitter(instruments, focal=1015.0 / 224 * SIDE, share_after=2)
    frames = [Frame(k, k / 10, f"{k}.png", Photo.from_array(p, "clip.mp4")) for k, p in enumerate(pictures)]
    frames.insert(2, Frame(99, 0.15, "dark.png", Photo.from_array(np.zeros((SIDE, SIDE, 3), np.uint8))))
    frames.insert(3, Frame(98, 0.16, "broken.png", None, "broken.png: damaged"))
    frames.insert(4, Frame(97, 0.17, "wide.png", Photo.from_array(np.zeros((SIDE, 2 * SIDE, 3), np.uint8))))
    return fitter, frames


@pytest.fixture(scope="module")
def sequence(fitter):
    told = []
    found = fitter[0].fit(fitter[1], 10.0, told.append)
    assert [frame.number for frame in told] == [frame.number for frame in found.frames]
    return found


def test_identity_and_albedo_are_common_and_the_rest_is_each_frames_own(sequence, truth):
    assert len(sequence.fitted) == COUNT and sequence.fps == 10
    first = sequence.fitted[0].parameters
    for frame in sequence.fitted:
        for name in SHARED:
            assert torch.equal(getattr(frame.parameters, name), getattr(first, name)), name
            assert torch.equal(getattr(sequence.best.parameters, name), getattr(first, name)), name
    yaw = torch.cat([frame.parameters.rotvec for frame in sequence.fitted])[:, 1]
    assert torch.allclose(yaw, truth.rotvec[:, 1], atol=0.06)
    jaw = sequence.best.model.expression_names.index("jawOpen")
    opening = [float(frame.parameters.expression[0, jaw]) for frame in sequence.fitted]
    assert opening == sorted(opening) and opening[-1] > opening[0] + 0.2
    assert all(frame.landmark_error < 0.05 for frame in sequence.fitted)


def test_a_frame_that_fails_costs_itself(sequence):
    failed = {frame.name: frame.error for frame in sequence.frames if frame.parameters is None}
    assert set(failed) == {"dark.png", "broken.png", "wide.png"}
    assert "no face" in failed["dark.png"] and "damaged" in failed["broken.png"]
    assert f"{2 * SIDE} x {SIDE}" in failed["wide.png"]


def test_the_texture_is_of_the_most_frontal_of_the_first_frames(sequence):
    assert torch.equal(sequence.best.parameters.rotvec, sequence.fitted[1].parameters.rotvec)  # -12 and -4 degrees


def test_a_known_person_is_not_averaged_anew(fitter, sequence):
    known = sequence.best.parameters
    warm = WarmStart(known, fixed=SHARED, landmarks=True, light=True)
    short = SequenceFitter(**{**vars(fitter[0]), "warm": warm, "share_after": 1})
    again = short.fit(fitter[1][:2], 10.0)
    assert all(torch.equal(frame.parameters.identity, known.identity) for frame in again.fitted)


def test_no_frame_at_all(fitter):
    with pytest.raises(NoFaceError, match="none of 1 frames could be fitted: dark.png: no face"):
        fitter[0].fit([frame for frame in fitter[1] if frame.name == "dark.png"], 10.0)
    with pytest.raises(NoFaceError, match="none of 0 frames"):
        fitter[0].fit([], 10.0)
    with pytest.raises(ValueError, match="share_after"):
        SequenceFitter(**{**vars(fitter[0]), "share_after": 0}).fit([], 10.0)


# ---------------------------------------------------------------- files


@pytest.fixture(scope="module")
def files(sequence, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequence")
    contents = sequence_files(sequence, folder / "clip.glb", FileStyle(texture_size=32))
    for path, data in contents.items():
        path.write_bytes(data)
    return list(contents)


def test_the_glb_shows_every_frame_where_the_camera_saw_it(sequence, files, model):
    """By a strict reader: at each key the mesh is the fitted one in camera space; eyeballs within 0.2 mm."""
    glb = Glb(files[0].read_bytes())
    assert glb.keys() == pytest.approx([0.0, 0.1, 0.2, 0.3])
    corner = model.faces.numpy()[np.argsort(face_pieces(model), kind="stable")]
    ball = model.eyeball.numpy()[corner] > 0
    for key, frame in enumerate(sequence.fitted):
        value = frame.parameters
        shape = model.shape(value.identity, value.expression, value.gaze, value.joints)
        points = to_camera_space(shape, value.rotvec, value.translation)[0].numpy() / 1000
        away = 1000 * np.abs(glb.posed(key)[glb.triangles()] - points[corner]).max(2)
        assert away[~ball].max() < 0.01 and away[ball].max() < 0.2  # mm


def test_the_camera_of_the_glb_is_that_of_the_photo(sequence, files):
    (camera,) = Glb(files[0].read_bytes()).document["cameras"]
    assert np.tan(camera["perspective"]["yfov"] / 2) == pytest.approx(SIDE / 2 / (1015.0 / 224 * SIDE))


def test_trimesh_opens_it(files):
    trimesh = pytest.importorskip("trimesh")
    scene = trimesh.load(io.BytesIO(files[0].read_bytes()), file_type="glb")
    meshes = list(scene.geometry.values())
    assert sum(len(mesh.faces) for mesh in meshes) > 10_000
    assert {mesh.visual.material.name for mesh in meshes} == {"skin", "eyes", "teeth", "tongue"}


def test_parameters_of_every_frame_come_back(sequence, files, model):
    numbers, parameters = load_frames(files[1])
    assert numbers == [frame.number for frame in sequence.fitted] and parameters.batch == COUNT
    for face, frame in enumerate(sequence.fitted):
        for name, value in frame.parameters.tensors().items():
            assert torch.equal(parameters[face].tensors()[name], value), name
    document = json.loads(files[1].read_text())
    assert [frame["status"] for frame in document["frames"]].count("failed") == 3
    assert document["camera"]["width"] == SIDE and document["fps"] == 10
    assert document["expression_names"] == list(model.expression_names)


def test_eyes_that_look_aside_are_animated(sequence, model):
    """Full turns are exact at the keys; targets that no frame needs are not written."""
    frames = list(sequence.fitted)
    for frame, yaw in zip(frames, (-GAZE_STEP, 0.0, GAZE_STEP, 0.0), strict=True):
        frame.parameters.gaze[:] = 0
        frame.parameters.gaze[0, :, 0] = yaw
    glb = Glb(animated_glb(sequence, b"\x89PNG"))
    names = glb.document["meshes"][0]["extras"]["targetNames"]
    assert [n for n in names if n.startswith("gaze")] == [
        "gazeRightYaw+", "gazeRightYaw-", "gazeLeftYaw+", "gazeLeftYaw-",
    ]  # fmt: skip
    assert not np.allclose(glb.posed(0), glb.posed(2), atol=1e-4)


def test_a_smoothed_sequence_is_the_same_frames_and_says_so(sequence):
    from_fits, still = sequence_json(sequence, "clip.glb"), smoothed(sequence)
    document = sequence_json(still, "clip.glb")
    assert (from_fits["smooth"], document["smooth"]) == (False, True)
    assert [frame.name for frame in still.frames] == [frame.name for frame in sequence.frames]
    assert [frame.parameters is None for frame in still.frames] == [f.parameters is None for f in sequence.frames]
    jaw = sequence.best.model.expression_names.index("jawOpen")
    for before, after in zip(sequence.fitted, still.fitted, strict=True):
        assert torch.equal(before.parameters.identity, after.parameters.identity)
        assert float((before.parameters.expression - after.parameters.expression)[0, jaw].abs()) < 0.1


def test_quaternions_take_the_short_way():
    angles = np.radians([170.0, 179.0, 188.0, 200.0])
    turns = np.array([[[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]] for a in angles])
    found = quaternions(turns)
    assert (np.sum(found[:-1] * found[1:], 1) > 0.99).all()


def test_what_is_no_sequence_file(tmp_path, sequence):
    with pytest.raises(OutputError, match="as .glb or .html"):
        sequence_paths(tmp_path / "clip.obj")
    document = sequence_json(sequence, "clip.glb")
    first = next(frame for frame in document["frames"] if "parameters" in frame)
    short = {**first, "parameters": {**first["parameters"], "expression": [0.0]}}
    blind = {**first, "parameters": {**first["parameters"], "gaze": [[0.0, 0.0]], "sh": "dark"}}
    path = tmp_path / "clip.json"
    for text, words in (
        ("{", "damaged JSON"), ("[]", "not a facefit sequence"),
        ('{"format": "facefit-result", "format_version": 1}', "not a facefit sequence"),
        (json.dumps(document | {"frames": 3}), "frames: is 3; expected a list"),
        (json.dumps(document | {"frames": []}), "none of them has parameters"),
        (json.dumps(document | {"frames": [first, short]}), "expression is not like that of other frames"),
        (json.dumps(document | {"frames": [first, blind]}), r"frames\[1\].parameters.sh: is \"dark\""),
        (json.dumps(document | {"identity": [float("nan")]}), "NaN"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(InputError, match=f"clip.json: .*{words}"):
            load_frames(path)
    with pytest.raises(InputError, match="no such file"):
        load_frames(tmp_path / "none.json")

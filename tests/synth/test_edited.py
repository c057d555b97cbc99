"""A photo with another expression, where the answer is known: a painted mesh, photographed before and after."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.command_line import error_line, facefit
from helpers.synthetic_result import paint, synthetic_result
from helpers.toy_model import toy_arrays
from PIL import Image

from facefit.anatomy.parts import LABEL
from facefit.job import job
from facefit.model.model_file import from_arrays
from facefit.observe.faces import DetectedFace
from facefit.render.view import make_window, view
from facefit.synth import edit_photo
from facefit.synth import edited as module
from facefit.synth.edit_photo import check_edits, edit_names, edited_arrays

UNITS = np.array(["jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "browDownLeft"])


@pytest.fixture(scope="module")
def made():
    """(result, labels of its photo, the edited photo, the photo of the face as it is then)."""
    arrays = toy_arrays(expression=5)
    model = from_arrays(arrays | {"expression_names": UNITS})
    below = (-model.verts[:, 1] / 60).clamp(0, 1) ** 2  # jawOpen moves what lies below, far enough to be seen
    basis = torch.zeros_like(model.expression_basis)
    basis[0, :, 1] = -20 * below
    result = synthetic_result(replace(model, expression_basis=basis), width=300, height=260)
    still = torch.zeros_like(result.parameters.expression)
    result = replace(result, parameters=replace(result.parameters, expression=still))
    result = replace(result, photo=photographed(result.scene))
    labels = result.scene.picture_of_parts(300, 260)
    labels[150:, :140] = LABEL["hair"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TEXTURE", 64)
        landmarks = result.scene.landmarks()[0].numpy()
        edit = module.edited(result, labels, landmarks, "open-mouth", np.random.default_rng(0))
    return result, labels, edit, photographed(edit.scene)


def photographed(scene):
    """(260, 300, 3) uint8: the painted mesh before green."""
    seen = view(scene.verts_in("camera"), scene.model.faces.numpy(), scene.camera, make_window((0.0, 0.0), 300, 300))
    uv = seen.interpolate(scene.model.uv.numpy(), scene.model.uv_faces.numpy())[:260]
    painted = paint(uv[..., 0], uv[..., 1]) * 255 + 0.5
    return np.where(seen.seen[:260, :, None], painted, (0, 255, 0)).astype(np.uint8)


def test_the_photo_shows_the_face_as_it_is_then(made):
    result, labels, edit, truth = made
    free = labels != LABEL["hair"]
    before, after = (np.abs(each.astype(float) - truth).mean(2) for each in (result.photo, edit.picture))
    moved = free & (before > 6) & (truth[..., 1] < 200) & (result.photo[..., 1] < 200)
    assert moved.sum() > 300
    assert after[moved].mean() < 0.35 * before[moved].mean()


def test_what_lies_before_the_face_and_what_does_not_move_stays(made):
    result, labels, edit, truth = made
    hair = labels == LABEL["hair"]
    inner = hair & np.roll(hair, 6, 0) & np.roll(hair, -6, 1)  # strands are soft by a pixel or two
    np.testing.assert_array_equal(edit.picture[inner], result.photo[inner])
    np.testing.assert_array_equal(edit.labels[hair], labels[hair])
    above = slice(0, 90)
    assert (truth[above] == result.photo[above]).all()
    np.testing.assert_array_equal(edit.picture[above], result.photo[above])


def test_labels_and_landmarks_move_with_the_face(made):
    result, labels, edit, _ = made
    parts = edit.scene.picture_of_parts(300, 260)
    free = (labels != LABEL["hair"]) & (parts > 0)
    assert (edit.labels[free] == parts[free]).mean() > 0.97
    lips = [free & np.isin(each, (LABEL["upper_lip"], LABEL["lower_lip"])) for each in (labels, parts)]
    assert (lips[0] != lips[1]).sum() > 30  # what they were would not do
    step = edit.landmarks - result.scene.landmarks()[0].numpy()
    mesh = (edit.scene.landmarks() - result.scene.landmarks())[0].numpy()
    np.testing.assert_allclose(step, mesh, atol=1e-3)
    assert step[:, 1].max() > 2


def test_arrays_are_of_the_photos_size(made):
    arrays = edited_arrays(made[2])
    assert arrays["labels"].shape == arrays["depth"].shape == (260, 300) and arrays["uv"].shape == (260, 300, 2)
    assert (
        arrays["landmarks"].shape == (478, 2) and arrays["expression"].shape == (5,) and arrays["focal"].shape == (2,)
    )


def test_a_photo_becomes_three_files_of_each_expression(made, tmp_path, monkeypatch):
    """The command, with a fit that is known."""
    result, labels, *_ = made
    Image.fromarray(result.photo).save(tmp_path / "me.png")
    face = DetectedFace(result.scene.landmarks()[0].numpy(), np.zeros(478, np.float32), 0.9)
    tools = SimpleNamespace(
        model=result.model, segmenter=None, config=SimpleNamespace(window=96),
        detector=SimpleNamespace(detect=lambda pixels: [face]), observe=lambda *given: None,
    )  # fmt: skip
    monkeypatch.setattr(job, "load_instruments", lambda options: tools)
    monkeypatch.setattr(edit_photo, "fit_observed", lambda *given, **more: [result])
    monkeypatch.setattr(edit_photo, "parse_photo", lambda *given: SimpleNamespace(labels=labels))
    monkeypatch.setattr(module, "TEXTURE", 64)
    out = tmp_path / "out"
    done = facefit("synth", "-o", out, "--from", tmp_path / "me.png", "--expressions", "open-mouth,smile")
    assert done.exit_code == 0, done.output
    names = [f"me_{name}{suffix}" for name in ("open-mouth", "smile") for suffix in (".json", ".npz", ".png")]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    about = json.loads((out / "me_open-mouth.json").read_text())
    assert about["expression"] == "open-mouth" and about["activations"]["jawOpen"] >= 0.4
    with np.load(out / "me_smile.npz") as truth, Image.open(out / "me_smile.png") as picture:
        assert truth["labels"].shape == picture.size[::-1] == (260, 300)
    error_line(facefit("synth", "-o", out, "--from", tmp_path / "me.png"), 2, "'any'; accepted with --from")
    error_line(facefit("synth", "-o", out, "--from", tmp_path / "me.png", "--size", 64), 2, "--size says nothing")
    error_line(facefit("synth", "-o", out, "--from", tmp_path / "you.png", "--expressions", "wink"), 4, "you.png")


def test_what_cannot_be_put_on_a_face_is_refused(made, toy_model, tmp_path):
    check_edits(("frown", "wink"), made[0].model)
    with pytest.raises(ValueError, match="'any'; accepted with --from: closed-eyes, wink"):
        check_edits(("any",), made[0].model)
    with pytest.raises(ValueError, match="'toy' has no face units"):
        check_edits(("smile",), toy_model)
    names = edit_names(tmp_path / "me.jpg", tmp_path, ("smile",))
    assert [name.name for name in names] == ["me_smile.png", "me_smile.npz", "me_smile.json"]

"""A fit that does not lie on the face is no success: what the landmarks and the parts say of it."""

import json
from dataclasses import replace

import pytest
import torch
from helpers.command_line import error_line, facefit
from helpers.rendered_face import person, photograph, together
from PIL import Image

from facefit.bundled import model_path
from facefit.errors import FitError
from facefit.fit.config import FitConfig
from facefit.fit.fit import fit_batch
from facefit.fit.verdict import DOUBTFUL, DOUBTFUL_IOU, DOUBTFUL_LANDMARKS, FAILED_LANDMARKS, verdict
from facefit.fit.warm_start import WarmStart

PARTS = {"nose": 0.8, "left_eye": 0.6}
needs_model = pytest.mark.skipif(not model_path().is_file(), reason="the face model is not built")


@pytest.mark.parametrize("status", ["converged", "budget", "seconds"])
def test_good_fits_keep_their_status(status):
    assert verdict(status, 0.095, PARTS) == status  # the worst of the photos it was measured on
    assert verdict(status, 0.02, {"nose": None}) == status


@pytest.mark.parametrize("error", [FAILED_LANDMARKS + 0.01, 5.7e5, float("inf"), float("nan")])
def test_nonsense_is_a_failure(error):
    why = verdict("budget", error, PARTS)
    assert isinstance(why, FitError) and "does not lie on the face" in str(why)


@pytest.mark.parametrize(
    ("error", "overlap"), [(DOUBTFUL_LANDMARKS + 0.01, 0.8), (0.01, DOUBTFUL_IOU - 0.05), (0.01, 0)]
)
def test_between_the_two_it_is_doubtful(error, overlap):
    assert verdict("converged", error, {"nose": overlap}) == DOUBTFUL


@needs_model
def test_a_face_far_from_anybodys_fails_alone(default_model):
    """An identity of 50 deviations that must stay, beside the true one."""
    people = [person(default_model, seed=seed) for seed in (0, 1)]
    observation = photograph(default_model, together(*people), 96).observation
    truth = together(*people)
    identity = truth.identity.clone()
    identity[1] = 50.0 * torch.sign(identity[1] + 1e-3)
    warm = WarmStart(replace(truth, identity=identity), fixed=("identity", "albedo"), landmarks=True, light=True)
    config = replace(FitConfig(energies=("landmark",)), stage=replace(FitConfig().stage, iterations=2))
    good, bad = fit_batch(observation, default_model, config, warm=warm, failures="return")
    assert good.status != "failed" and good.landmark_error < DOUBTFUL_LANDMARKS
    assert bad.status == "failed" and "does not lie on the face" in str(bad.error) and bad.seconds
    with pytest.raises(FitError, match="does not lie on the face"):
        fit_batch(observation, default_model, config, warm=warm)


@needs_model
@pytest.mark.usefixtures("loaded_once")
def test_a_field_of_view_that_cannot_be_writes_nothing(astronaut, tmp_path):
    Image.fromarray(astronaut[:200, 130:330]).save(tmp_path / "face.png")
    quick = ("--iterations", 2, "--segmentation", "polygons", "--texture-size", 16, "--energies", "landmark")
    error_line(facefit(tmp_path / "face.png", "-o", tmp_path / "m.obj", "--fov", 170, *quick), 5, "face")
    assert not (tmp_path / "m.obj").exists()


@needs_model
@pytest.mark.usefixtures("loaded_once")
def test_a_doubtful_fit_says_so(astronaut, tmp_path, monkeypatch):
    """In what is printed and in the JSON: here every fit is doubtful."""
    monkeypatch.setattr("facefit.fit.verdict.DOUBTFUL_LANDMARKS", 0.0)
    Image.fromarray(astronaut[:200, 130:330]).save(tmp_path / "face.png")
    quick = ("--iterations", 2, "--segmentation", "polygons", "--texture-size", 16, "--energies", "landmark")
    told = facefit(tmp_path / "face.png", "-o", tmp_path / "m.obj", *quick)
    assert told.exit_code == 0 and "doubtful: it may not lie on the face" in told.stdout
    assert json.loads((tmp_path / "m.json").read_text())["status"] == "doubtful"

"""The fit: what was photographed comes back, twice the same, alone or in company."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.rendered_face import person, photograph, together
from helpers.toy_model import toy_arrays

from facefit.anatomy.parts import PARTS
from facefit.errors import FitError, NoFaceError
from facefit.fit.config import FitConfig, Weights, override
from facefit.fit.fit import fit_batch, fit_photo
from facefit.geometry.camera import project
from facefit.geometry.rotation import rotation_matrix
from facefit.metrics.part_iou import mean_iou
from facefit.model.model_file import from_arrays
from facefit.observe.faces import DetectedFace
from facefit.observe.segment.load import load_segmenter
from facefit.photo.photo import Photo
from facefit.scene.landmarks import contour_choice, head_yaw, project_landmarks

SMALL = 96  # pixels of a window in which a fit is quick
INNER = tuple(name for name in PARTS if name != "skin")


@pytest.fixture(scope="module")
def model(default_model):
    return default_model


@pytest.fixture(scope="module")
def smile(model):
    return photograph(model, person(model, yaw=15.0, jawOpen=0.3, mouthSmileLeft=0.5, mouthSmileRight=0.5))


@pytest.fixture(scope="module")
def small(toy_model):
    """Somebody in a small window, where neither the model nor the size of the picture matters."""
    return photograph(toy_model, person(toy_model, yaw=15.0, unit1=0.3), SMALL)


@pytest.fixture(scope="module")
def pair(toy_model):
    people = together(person(toy_model, yaw=20.0, seed=1), person(toy_model, yaw=-12.0, seed=2, unit0=0.6))
    return photograph(toy_model, people, SMALL)


def short(iterations=10, **changes):
    return override(FitConfig(), iterations=iterations, **changes)


def pixels(model, parameters, camera):
    verts = model.shape(parameters.identity, parameters.expression, parameters.gaze)
    points = verts @ rotation_matrix(parameters.rotvec).mT + parameters.translation[:, None]
    return project_landmarks(model, points, camera, contour_choice(model, project(points, camera)))


def yaw(parameters):
    return head_yaw(rotation_matrix(parameters.rotvec)).item()


@pytest.fixture(scope="module")
def fitted(model, smile):
    return fit_batch(smile.observation, model, short(25))[0]


def test_a_rendered_face_is_recovered(model, smile, fitted):
    truth = smile.truth
    assert yaw(fitted.parameters) == pytest.approx(yaw(truth), abs=2.0)
    camera = smile.observation.camera
    at, wanted = pixels(model, fitted.parameters, camera), pixels(model, truth, camera)
    eyes = (wanted[0, 33] - wanted[0, 263]).norm()
    assert (at - wanted).norm(dim=-1).mean() / eyes < 0.01
    assert mean_iou(fitted.part_iou, INNER) > 0.85
    # the mesh itself, where the face is, up to where its origin lies
    front = model.verts[:, 2] > 0
    offset = (model.shape(fitted.parameters.identity, fitted.parameters.expression) -
              model.shape(truth.identity, truth.expression))[0, front]  # fmt: skip
    mean_face = (model.verts[None] - model.shape(truth.identity, truth.expression))[0, front]
    assert spread(offset) < 0.6 * spread(mean_face)


def spread(offset):
    return (offset - offset.mean(0)).norm(dim=1).mean().item()


def totals(result):
    return [sum(value for name, value in row.items() if name != "iteration") for row in result.trace]


def test_the_energy_falls(toy_model, small):
    total = totals(fit_batch(small.observation, toy_model, short())[0])
    assert min(total) < total[0]


def test_the_energy_is_written_down(fitted):
    total = totals(fitted)
    assert sum(fitted.energies.values()) == pytest.approx(min(total), rel=1e-5)
    assert set(fitted.energies) >= {"landmark", "dense", "prdl", "photometric", "identity"}
    assert set(fitted.seconds) >= {"landmark stage", "full stage"}
    assert fitted.status in ("converged", "budget")
    assert 0 <= fitted.landmark_error < 0.03
    assert fitted.config["preset"] == "default" and fitted.versions["torch"]


def test_the_same_photo_twice_gives_the_same_bits(toy_model, small):
    one, two = (fit_batch(small.observation, toy_model, short())[0] for _ in range(2))
    for name, value in one.parameters.tensors().items():
        assert torch.equal(value, two.parameters.tensors()[name]), name
    assert one.energies == two.energies and one.trace == two.trace


def test_what_was_fitted_before_leaves_nothing_behind(toy_model, small, pair):
    fresh = fit_batch(pair.observation[1], from_arrays(toy_arrays()), short(6))[0]
    fit_batch(small.observation, toy_model, short(2))
    after = fit_batch(pair.observation[1], toy_model, short(6))[0]
    assert torch.equal(fresh.parameters.identity, after.parameters.identity)


def test_together_or_alone(toy_model, pair):
    both = fit_batch(pair.observation, toy_model, short())
    assert len(both) == 2
    for face, result in enumerate(both):
        alone = fit_batch(pair.observation[face], toy_model, short())[0]
        assert np.array_equal(alone.verts_in("camera"), result.verts_in("camera"))
        assert alone.energies == result.energies and alone.trace == result.trace
        assert alone.part_iou == result.part_iou and alone.landmark_error == result.landmark_error


def test_order_does_not_matter(toy_model, pair):
    there = fit_batch(pair.observation, toy_model, short(5))
    back = fit_batch(pair.observation[[1, 0]], toy_model, short(5))
    assert np.array_equal(there[0].verts, back[1].verts)


def test_parts_alone_pull_the_mesh_over_the_parts(model, smile):
    """No landmark or colour counts: PRDL and the priors, from the mean face in a rough pose."""
    begun = fit_batch(smile.observation, model, short(0, energies=("prdl",)))[0]
    done = fit_batch(smile.observation, model, short(25, energies=("prdl",)))[0]
    assert not begun.parameters.identity.any() and not begun.parameters.expression.any()
    assert set(done.energies) == {"prdl", "identity", "expression", "gaze"}
    assert mean_iou(done.part_iou, INNER) > mean_iou(begun.part_iou, INNER) + 0.05
    assert mean_iou(done.part_iou, INNER) > 0.7


def test_landmarks_alone(model, smile):
    result = fit_batch(smile.observation, model, short(20, energies=("landmark",)))[0]
    assert "prdl" not in result.energies and "photometric" not in result.energies
    at, wanted = (pixels(model, p, smile.observation.camera) for p in (result.parameters, smile.truth))
    assert (at - wanted).norm(dim=-1).mean() / (wanted[0, 33] - wanted[0, 263]).norm() < 0.01


def test_colours_alone_find_albedo_and_light(model, smile):
    result = fit_batch(smile.observation, model, short(10, energies=("photometric",)))[0]
    assert result.energies["photometric"] < 0.9 * result.trace[0]["photometric"]


def test_a_face_half_outside_the_picture(model, smile):
    observation = smile.observation
    cut = observation.landmarks[..., 0] > 112
    dark = observation.image.clone()
    dark[:, :, 112:] = 0
    valid, masks = observation.valid.clone(), observation.part_masks.clone()
    valid[:, :, 112:], masks[:, :, :, 112:] = 0, 0
    masks[:, 9, :, 112:] = 1
    half = replace(observation, image=dark, valid=valid, part_masks=masks, landmark_confidence=(~cut).float())
    result = fit_batch(half, model, short(10))[0]
    assert yaw(result.parameters) == pytest.approx(yaw(smile.truth), abs=8.0)
    assert all(np.isfinite(value) for value in result.energies.values())


def test_a_segmenter_that_saw_nothing(toy_model, small):
    empty = replace(small.observation, part_masks=torch.zeros_like(small.observation.part_masks),
                    valid=torch.zeros_like(small.observation.valid))  # fmt: skip
    result = fit_batch(empty, toy_model, short(5))[0]
    assert result.energies["prdl"] == 0 and result.energies["photometric"] == 0
    assert result.landmark_error < 0.03


def test_no_landmark_at_all_is_a_clear_error_or_a_finite_fit(toy_model, small):
    blind = replace(small.observation, landmark_confidence=torch.zeros(1, 478))
    try:
        result = fit_batch(blind, toy_model, short(3))[0]
    except FitError as error:
        assert "landmark" in str(error)
    else:
        assert np.isfinite(result.verts_in("camera")).all()


def test_a_budget_of_seconds(toy_model, small):
    result = fit_batch(small.observation, toy_model, short(100_000, max_seconds=0.02))[0]
    assert result.status == "seconds"
    assert len(result.trace) < 1000


def test_an_energy_of_ones_own(toy_model, small):
    def narrow(parameters, objective):
        return {"narrow": 5 * parameters.identity[:, 0] ** 2 + 3}

    plain = fit_batch(small.observation, toy_model, short(8))[0]
    own = fit_batch(small.observation, toy_model, short(8), extra_energy=narrow)[0]
    assert own.energies["narrow"] >= 3 and "narrow" not in plain.energies
    assert abs(own.parameters.identity[0, 0]) < abs(plain.parameters.identity[0, 0])
    with pytest.raises(FitError, match="iteration 0: the broken energy is not a finite number"):
        fit_batch(
            small.observation, toy_model, short(2), extra_energy=lambda p, o: {"broken": p.rotvec[:, 0] * torch.nan}
        )


def test_progress_is_reported(toy_model, small):
    calls = []
    fit_batch(small.observation, toy_model, short(4), progress=lambda *args: calls.append(args))
    full = [call for call in calls if call[0] == "full"]
    assert [call[1] for call in full] == [0, 1, 2, 3, 4] and full[-1][2] == 4
    assert full[0][3]["landmark"] >= 0


# ---------------------------------------------------------------- from a photo


class Detector:
    """Finds what it was told of, the largest first."""

    def __init__(self, *faces):
        self.faces = [DetectedFace(f.astype(np.float32), np.zeros(478, np.float32), 0.9) for f in faces]

    def detect(self, image):
        return self.faces


@pytest.fixture(scope="module")
def two_in_one(smile):
    """A photo of 448 x 224 pixels that shows the same person twice, once smaller by its landmarks alone."""
    image = (smile.observation.image[0].numpy() * 255).astype(np.uint8)
    landmarks = smile.observation.landmarks[0].numpy()
    return Photo.from_array(np.concatenate([image, image], 1)), landmarks, landmarks + [224, 0]


@pytest.fixture
def fit(model):
    def run(photo, *faces, **options):
        options = {"segmenter": load_segmenter("polygons"), "detector": Detector(*faces), "focal": 1015.0, **options}
        return fit_photo(photo, replace(short(1), window=SMALL), model=model, **options)

    return run


def test_a_photo_is_fitted_in_its_own_pixels(fit, two_in_one):
    photo, here, _ = two_in_one
    (result,) = fit(photo, here)
    assert result.photo_size == (448, 224)
    assert result.camera.focal.tolist() == [[1015.0, 1015.0]] and result.camera.centre.tolist() == [[224.0, 112.0]]
    focal, centre = result.camera.focal[0].numpy(), result.camera.centre[0].numpy()
    corner = result.landmarks7_in("camera")
    at = centre + focal * corner[:, :2] / -corner[:, 2:] * (1, -1)
    assert np.abs(at - here[[33, 133, 362, 263, 2, 61, 291]]).max() < 6
    assert {"detection", "segmentation", "landmark stage", "full stage"} <= set(result.seconds)


def test_all_faces_or_one(fit, two_in_one):
    photo, here, there = two_in_one
    first, second = fit(photo, here, there, faces="all")
    assert second.parameters.translation[0, 0] > first.parameters.translation[0, 0] + 100
    (alone,) = fit(photo, here, there, faces=2)
    assert torch.equal(alone.parameters.identity, second.parameters.identity)
    with pytest.raises(NoFaceError):
        fit(photo)
    with pytest.raises(NoFaceError):
        fit(photo, here, faces=2)


def test_a_stronger_prior_stays_nearer_to_the_mean_face(model, smile):
    loose, tight = (
        fit_batch(
            smile.observation,
            model,
            replace(short(0), weights=replace(Weights(), identity=w), energies=("landmark", "prdl", "photometric")),
        )[0]
        for w in (0.1, 100)
    )
    assert tight.parameters.identity.norm() < 0.5 * loose.parameters.identity.norm()

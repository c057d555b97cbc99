"""The energy of a fit: low at the truth, deaf to what is masked, with every face on its own."""

from dataclasses import replace

import pytest
import torch
from helpers.rendered_face import person, photograph, together

from facefit.anatomy.parts import LABEL
from facefit.fit.config import ENERGIES, FitConfig, override
from facefit.fit.first_guess import first_light
from facefit.fit.objective import Objective
from facefit.observe.recognition import load_recognition
from facefit.render import load_renderer
from facefit.render.lighting import shade
from facefit.scene.parameters import Parameters
from facefit.scene.silhouette import NECK

pytest.importorskip("onnx")
from helpers.toy_recognition import recognition_file  # noqa: E402  after onnx is known to be there


@pytest.fixture(scope="module")
def model(default_model):
    return default_model


@pytest.fixture(scope="module")
def photo(model):
    return photograph(model, person(model, yaw=10.0, jawOpen=0.3, mouthSmileLeft=0.5, mouthSmileRight=0.5))


@pytest.fixture(scope="module", autouse=True)
def recognition(tmp_path_factory):
    """What the energy "perceptual" asks, in every objective here."""
    RECOGNITION.append(load_recognition(recognition_file(tmp_path_factory.mktemp("net") / "toy.onnx")))
    yield RECOGNITION[0]
    RECOGNITION.clear()


RECOGNITION: list = []


def objective(model, observation, energies=ENERGIES, **changes):
    config = replace(override(FitConfig(), energies=energies), **changes)
    return Objective(observation, model, load_renderer("cpu"), config, *RECOGNITION)


def moved(truth: Parameters, **by) -> Parameters:
    tensors = truth.tensors()
    return Parameters(**{name: value + torch.tensor(by.get(name, 0.0)) for name, value in tensors.items()})


def test_terms_of_each_choice_of_energies(model, photo):
    def names(*energies):
        return set(objective(model, photo.observation, energies)(photo.truth, 0))

    priors = {"identity", "expression", "gaze"}
    assert names("prdl") == {"prdl", *priors} and names("outline") == {"outline", *priors}
    assert {"landmark", *priors} <= names("landmark") <= {"landmark", "closure", *priors}
    assert {"photometric", "albedo", *priors} <= names("photometric") <= {"photometric", "albedo", "symmetry", *priors}
    assert {"perceptual", "albedo", *priors} <= names("perceptual") <= {"perceptual", "albedo", "symmetry", *priors}
    assert names(*ENERGIES) == set().union(*(names(energy) for energy in ENERGIES))


def test_perfect_landmarks_and_colours_cost_nothing_at_the_truth(model, photo):
    config = FitConfig()
    terms = objective(model, photo.observation)(photo.truth, 0)
    assert terms["landmark"].item() / config.weights.landmark < 1e-4
    assert terms.get("closure", torch.zeros(1)).item() < 1e-4
    # what is left is the antialiasing, which the photo was made without
    assert terms["photometric"].item() / config.weights.photometric < 2e-3
    assert all(value.shape == (1,) for value in terms.values())


@pytest.mark.parametrize("term", ENERGIES)
@pytest.mark.parametrize(
    "by",
    [{"translation": [8.0, 0.0, 0.0]}, {"translation": [0.0, -8.0, 0.0]}, {"rotvec": [0.0, 0.15, 0.0]},
     {"rotvec": [0.0, 0.0, 0.15]}],
    ids=lambda by: str(by),
)  # fmt: skip
def test_every_data_term_grows_away_from_the_truth(model, photo, term, by):
    energy = objective(model, photo.observation, (term,))
    assert energy(moved(photo.truth, **by), 0)[term] > 1.2 * energy(photo.truth, 0)[term]


@pytest.mark.parametrize("yaw", [0.0, 35.0])
def test_points_of_the_mesh_are_spread_as_the_pixels_of_the_mask(model, yaw):
    """At the truth the two clouds of a part are of one shape, so PRDL is next to nothing, on a turned head as well."""
    turned = photograph(model, person(model, yaw=yaw, seed=4))
    energy = objective(model, turned.observation, ("prdl",))
    at_truth = energy(turned.truth, 0)["prdl"].item()
    shifted = energy(moved(turned.truth, translation=[8.0, 0.0, 0.0]), 0)["prdl"].item()
    assert at_truth < 0.2 * shifted


@pytest.mark.parametrize("term", ["landmark", "prdl", "outline"])
@pytest.mark.parametrize(("name", "step"), [("translation", 0.3), ("rotvec", 2e-3), ("expression", 5e-3)])
def test_the_gradient_is_that_of_the_energy(model, photo, term, name, step):
    """Along a random direction, against central differences, with the discrete choices held."""
    energy = objective(model, photo.observation, (term,))
    start = moved(photo.truth, translation=[3.0, 2.0, 10.0], rotvec=[0.02, 0.03, 0.0])
    start = replace(start, expression=start.expression * 0.5 + 0.2)
    energy(start, 0)
    values = {n: v.clone().requires_grad_(True) for n, v in start.tensors().items()}
    energy(Parameters(**values), 1)[term].sum().backward()
    direction = torch.randn(values[name].shape, generator=torch.Generator().manual_seed(1))
    direction = direction / direction.norm()
    ends = [
        energy(replace(start, **{name: start.tensors()[name] + sign * step * direction}), 1)[term].item()
        for sign in (1, -1)
    ]
    slope = (ends[0] - ends[1]) / (2 * step)
    along = (values[name].grad * direction).sum().item()
    assert along == pytest.approx(slope, rel=0.05, abs=abs(ends[0]) * 1e-4 / step)


def test_new_points_of_the_outline_are_told_from_new_parameters(model, photo):
    energy = objective(model, photo.observation, ("outline",))
    energy(photo.truth, 0)
    assert energy.jump is None  # the first choice
    away = moved(photo.truth, translation=[6.0, 4.0, 0.0])
    held = energy(away, 7)["outline"]
    assert energy.jump is None
    anew = energy(away, 8)["outline"]
    assert abs(float((anew - held).sum())) > 0.1
    torch.testing.assert_close(energy.jump, (anew - held).detach(), rtol=1e-4, atol=1e-4)


def test_points_of_the_outline_count_as_they_are_trusted(model, photo, monkeypatch):
    outline = photo.observation.outline
    away = moved(photo.truth, translation=[6.0, 4.0, 0.0])

    def cost(seen: torch.Tensor) -> float:
        return objective(model, replace(photo.observation, outline=seen), ("outline",))(away, 0)["outline"].item()

    neck = torch.cat([outline[..., :4], outline[..., [5, 4]]], -1)  # the same points, said to lie above a neck
    background, above_neck = cost(outline), cost(neck)
    assert background > 0.0 and above_neck > 0.0
    monkeypatch.setattr("facefit.scene.silhouette.NECK", 1.0)
    assert cost(outline) == pytest.approx(background, rel=1e-4)
    assert cost(neck) == pytest.approx(above_neck / NECK, rel=1e-4)


def test_a_masked_pixel_says_nothing(model, photo):
    """A patch of the cheek is covered: whatever its colour, neither the energy nor its gradient changes."""
    patch = (slice(None), slice(115, 130), slice(60, 80))
    valid = photo.observation.valid.clone()
    assert valid[patch].min() > 0  # on the face, and counted as long as nothing covers it
    valid[patch] = 0
    gradients, energies = [], []
    for colour in (0.0, 1.0):
        image = photo.observation.image.clone()
        image[patch] = colour
        observation = replace(photo.observation, image=image, valid=valid)
        start = moved(photo.truth, translation=[2.0, 1.0, 0.0])
        values = {n: v.clone().requires_grad_(True) for n, v in start.tensors().items()}
        value = objective(model, observation, ("photometric",))(Parameters(**values), 0)["photometric"]
        value.sum().backward()
        energies.append(value.item())
        gradients.append(torch.cat([values[n].grad.flatten() for n in ("identity", "albedo", "rotvec", "sh")]))
    assert energies[0] == energies[1] and torch.equal(*gradients)
    assert gradients[0].abs().max() > 0
    uncovered = replace(photo.observation, image=image)
    assert objective(model, uncovered, ("photometric",))(start, 0)["photometric"].item() > 1.1 * energies[0]


def test_who_is_there_does_not_hang_on_what_covers_the_face(model, photo):
    """The photo of a render is that person; hair, hands and what else is no skin are the photo's own in both."""
    energy = objective(model, photo.observation, ("perceptual",))
    other = replace(photo.truth, identity=-photo.truth.identity, albedo=-photo.truth.albedo)
    far = energy(other, 0)["perceptual"].item()
    assert energy(photo.truth, 0)["perceptual"].item() < 0.05 * far
    covered = replace(photo.observation, valid=torch.zeros_like(photo.observation.valid))
    assert objective(model, covered, ("perceptual",))(other, 0)["perceptual"].item() == pytest.approx(0, abs=1e-3)
    config = override(FitConfig(), energies=("perceptual",))
    with pytest.raises(ValueError, match="asks a recognition network, and none is given"):
        Objective(photo.observation, model, load_renderer("cpu"), config)(photo.truth, 0)


def test_nothing_to_be_seen_has_no_gradient(model, photo):
    observation = replace(
        photo.observation, valid=torch.zeros_like(photo.observation.valid),
        part_masks=torch.zeros_like(photo.observation.part_masks), outline=torch.zeros_like(photo.observation.outline),
        landmark_confidence=torch.zeros_like(photo.observation.landmark_confidence),
    )  # fmt: skip
    values = {n: v.clone().requires_grad_(True) for n, v in photo.truth.tensors().items()}
    terms = objective(model, observation)(Parameters(**values), 0)
    data = terms["landmark"] + terms["prdl"] + terms["photometric"]
    assert data.item() == 0
    data.sum().backward()
    for name in ("rotvec", "translation", "identity"):
        assert torch.isfinite(values[name].grad).all() and values[name].grad.abs().max() == 0


def test_an_absent_part_does_not_count(model, photo):
    """A closed eye or a covered mouth: its mask is empty and its vertices are left in peace."""
    masks = photo.observation.part_masks.clone()
    masks[:, :7] = 0
    skin_alone = objective(model, replace(photo.observation, part_masks=masks), ("prdl",))
    whole = objective(model, photo.observation, ("prdl",))
    far = moved(photo.truth, translation=[10.0, 0.0, 0.0])
    assert 0 < skin_alone(far, 0)["prdl"] < whole(far, 0)["prdl"]


def test_a_hidden_cheek_is_not_pulled(model, photo):
    """Vertices that lie under an occluder are left out: covering half of the face changes PRDL little at the truth."""
    masks = photo.observation.part_masks.clone()
    hand = torch.zeros_like(masks[:, 0])
    hand[:, 120:, :110] = 1
    masks[:, :8] *= 1 - hand[:, None]
    masks[:, 9] = hand
    covered = objective(model, replace(photo.observation, part_masks=masks), ("prdl",))
    kept = masks.clone()
    kept[:, 9] = 0
    ignored = objective(model, replace(photo.observation, part_masks=kept), ("prdl",))
    assert covered(photo.truth, 0)["prdl"] < 0.5 * ignored(photo.truth, 0)["prdl"]


def test_choices_hold_until_the_next_refresh(model, photo):
    energy = objective(model, photo.observation)
    refresh = energy.config.stage.refresh
    energy(photo.truth, 0)
    first = energy.choices
    energy(moved(photo.truth, rotvec=[0.0, 0.6, 0.0]), 1)
    assert energy.choices is first
    energy(moved(photo.truth, rotvec=[0.0, 0.6, 0.0]), refresh)
    assert energy.choices is not first
    assert not torch.equal(energy.choices.contour, first.contour)  # marched along the turned cheek


def test_faces_of_a_batch_do_not_meet(model):
    people = [person(model, yaw=20.0, seed=1), person(model, yaw=-15.0, seed=2, jawOpen=0.6)]
    both = photograph(model, together(*people))
    at = moved(both.truth, translation=[4.0, -3.0, 20.0])
    values = {n: v.clone().requires_grad_(True) for n, v in at.tensors().items()}
    energy = objective(model, both.observation)
    terms = energy(Parameters(**values), 0)
    sum(terms.values()).sum().backward()
    for name, value in energy.keep([1])(at[[1]], 1).items():  # the other one has stopped
        assert value.item() == pytest.approx(terms[name][1].item(), rel=1e-5, abs=1e-6), name
    for face in (0, 1):
        alone = {n: v[[face]].clone().requires_grad_(True) for n, v in at.tensors().items()}
        own = objective(model, both.observation[face])(Parameters(**alone), 0)
        sum(own.values()).sum().backward()
        for name, value in own.items():
            assert value.item() == pytest.approx(terms[name][face].item(), rel=1e-5, abs=1e-6), name
        for name, value in ((n, v) for n, v in alone.items() if v.numel()):  # it may have no joints
            scale = value.grad.abs().max().clamp_min(1e-6)
            assert ((value.grad[0] - values[name].grad[face]).abs() / scale).max() < 1e-4, name


def test_the_first_light_explains_the_photo(model, photo):
    """From the true shape and albedo, however dark the start, surfaces that are seen get their true shade back."""
    dark = replace(photo.truth, sh=torch.zeros_like(photo.truth.sh))
    energy = objective(model, photo.observation)
    light = first_light(energy.scene(dark), photo.observation)
    normals = energy.scene(photo.truth).normals()
    seen = (normals[..., 2] > 0.3) & (model.vertex_label == LABEL["skin"])
    grey = torch.full_like(normals, 0.5)
    found, wanted = (shade(grey, normals, sh)[seen] for sh in (light, photo.truth.sh))
    assert (found - wanted).abs().max() < 0.02


def test_the_render_is_the_photo_at_the_truth(model, photo):
    scene = objective(model, photo.observation).scene(photo.truth)
    inside = scene.covered() & (photo.observation.valid > 0)
    assert inside.float().mean() > 0.1
    assert (scene.picture() - photo.observation.image)[inside].abs().max() < 0.01

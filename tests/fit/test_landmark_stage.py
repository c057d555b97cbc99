"""The landmark stage gives back what projected the landmarks: pose, identity, expression; and keeps to its priors."""

import dataclasses
import gc
import math
import weakref

import pytest
import torch
from helpers import rendered_face
from helpers.toy_model import toy_arrays

from facefit.anatomy.landmarks import LID_PAIRS, MIRROR
from facefit.errors import FitError
from facefit.fit import landmark_stage_cpu, landmark_stage_torch
from facefit.fit.config import FitConfig, Weights
from facefit.fit.landmark_basis import LandmarkProblem, landmark_basis
from facefit.fit.landmark_stage import first_pose, solve_landmarks
from facefit.geometry.camera import Camera, project, to_camera_space
from facefit.geometry.rotation import rotation_matrix, rotation_vector
from facefit.model.model_file import from_arrays
from facefit.scene.landmarks import contour_choice, head_yaw, project_landmarks
from facefit.scene.parameters import Parameters

CAMERA = Camera(torch.tensor([[1015.0, 1015.0]]), torch.tensor([[112.0, 112.0]]))
# nothing but the landmarks counts: what is recovered, is recovered from them
WEAK = dataclasses.replace(
    FitConfig(), calibrated=False, landmark_iterations=25,
    weights=Weights(landmark=1e4, identity=1e-3, expression=1e-3, sparsity=0.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def model(default_model):
    return default_model


def cameras(batch):
    return Camera(CAMERA.focal.repeat(batch, 1), CAMERA.centre.repeat(batch, 1))


def seen(model, identity, expression, rotvec, translation):
    """(B, 478, 2) exact landmarks in pixels, with the contour where a detector sees it."""
    points = to_camera_space(model.shape(identity, expression), rotvec, translation)
    camera = cameras(len(points))
    return project_landmarks(model, points, camera, contour_choice(model, project(points, camera)))


def found_landmarks(model, value):
    return seen(model, value.identity, value.expression, value.rotvec, value.translation)


def person(model, batch=1, seed=0, expressive=True):
    generator = torch.Generator().manual_seed(seed)
    identity = 0.8 * torch.randn(batch, model.sizes["identity"], generator=generator)
    expression = torch.zeros(batch, model.sizes["expression"])
    if expressive:
        names = [n for n in ("jawOpen", "mouthSmileLeft", "browInnerUp", "unit1") if n in model.expression_names]
        for name in names:
            expression[:, model.expression_names.index(name)] = torch.rand(batch, generator=generator) * 0.8
    return identity, expression


# ---------------------------------------------------------------- rotations


def test_rotation_vector_inverts_rotation_matrix():
    generator = torch.Generator().manual_seed(0)
    axis = torch.nn.functional.normalize(torch.randn(200, 3, generator=generator, dtype=torch.float64), dim=1)
    angle = torch.rand(200, 1, generator=generator, dtype=torch.float64) * math.pi
    rotvec = axis * angle
    assert torch.allclose(rotation_vector(rotation_matrix(rotvec)), rotvec, atol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, math.pi - 1e-6, math.pi])
@pytest.mark.parametrize("axis", [(1.0, 0, 0), (0, 1.0, 0), (0, 0, -1.0), (0.6, -0.8, 0), (-0.48, 0.6, 0.64)])
def test_rotation_vector_at_its_ends(angle, axis):
    rotvec = torch.tensor([axis], dtype=torch.float64) * angle
    matrix = rotation_matrix(rotvec)
    back = rotation_vector(matrix)
    assert back.norm().item() <= math.pi + 1e-9
    # at pi both signs are the same rotation, so the matrices are compared
    assert torch.allclose(rotation_matrix(back), matrix, atol=1e-9)


def test_rotation_vector_is_the_short_way_round():
    long_way = torch.tensor([[0.0, 2 * math.pi - 0.5, 0.0]], dtype=torch.float64)
    assert torch.allclose(rotation_vector(rotation_matrix(long_way)), torch.tensor([[0.0, -0.5, 0.0]]).double())


# ---------------------------------------------------------------- pose


@pytest.mark.parametrize(
    "rotvec", [(0.0, 0, 0), (0.1, 0.6, 0), (-0.3, -0.8, 0.1), (0.0, 0, math.pi / 2), (0.0, 0, -2.9)], ids=str
)
def test_first_pose_of_the_mean_face(model, rotvec):
    """Scaled orthography is exact to a few degrees and per cent at a metre, whichever way the picture is turned."""
    pose = torch.tensor([rotvec])
    translation = torch.tensor([[15.0, -25.0, -1000.0]])
    points = to_camera_space(model.verts[None], pose, translation)
    rotation, at = first_pose(model, project_landmarks(model, points, CAMERA, None), CAMERA)
    turn = rotation_vector(rotation @ rotation_matrix(pose).mT.double()).norm()
    assert math.degrees(turn) < 4
    assert (at - translation).norm() < 60 and (at - translation)[0, :2].norm() < 5


def test_pose_alone_when_nothing_else_may_move(model):
    """Without iterations of the landmark stage the face is the mean one and the pose is solved."""
    none = torch.zeros(1, model.sizes["identity"]), torch.zeros(1, model.sizes["expression"])
    truth = torch.tensor([[0.2, 0.3, -0.4]])
    landmarks = seen(model, *none, truth, torch.tensor([[10.0, 5.0, -900.0]]))
    config = dataclasses.replace(WEAK, landmark_iterations=0)
    value = solve_landmarks(model, landmarks, torch.ones(1, 478), CAMERA, config)
    assert not value.identity.any() and not value.expression.any()
    assert torch.allclose(value.rotvec, truth, atol=0.01)
    assert torch.allclose(value.translation, torch.tensor([[10.0, 5.0, -900.0]]), atol=5)


# ---------------------------------------------------------------- the whole stage


@pytest.mark.parametrize(
    "rotvec", [(0.0, 0.0, 0.0), (0.15, 0.5, 0.1), (-0.1, -0.7, 0.0), (0.0, 0.0, math.pi / 2)], ids=str
)
def test_exact_landmarks_are_reached(model, rotvec):
    identity, expression = person(model)
    landmarks = seen(model, identity, expression, torch.tensor([rotvec]), torch.tensor([[5.0, 20.0, -950.0]]))
    value = solve_landmarks(model, landmarks, torch.ones(1, 478), CAMERA, WEAK)
    error = (found_landmarks(model, value) - landmarks).norm(dim=-1)[0, :468]
    assert error.mean() < 0.15 and error.median() < 0.1  # of a face that is 100 pixels wide


def test_a_system_that_rounding_has_bent_is_damped_more():
    """Where landmarks hardly tell of a direction its curvature may come out below zero, with one LAPACK and not with
    another. Beside it another face's step stays what it is; a system that is no minimum is an error."""
    generator = torch.Generator().manual_seed(2)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=generator).double())[0]
    curvature = torch.linspace(1e5, 1e6, 8).double()
    below = torch.cat([curvature[1:], -curvature[:1] / 1e5])
    good, bent = (turn * each @ turn.T for each in (curvature, below))
    gradient = turn @ torch.tensor([3.0, -2.0, 1.0, 4.0, -1.0, 2.0, -3.0, 0.0]).double()
    steps = landmark_stage_torch.solve_each(torch.stack([good, bent]), gradient.expand(2, -1))
    assert (bent @ steps[1] + gradient).norm() < 1e-3 * gradient.norm()
    for system, step in zip((good, bent), steps, strict=True):
        assert torch.equal(landmark_stage_torch.solve_each(system[None], gradient[None])[0], step)
        right, factor = landmark_stage_cpu._factored(system.numpy(), gradient[:, None].numpy())
        torch.testing.assert_close(-torch.cholesky_solve(right, factor)[:, 0], step)
    for solve in (
        lambda: landmark_stage_torch.solve_each(-good[None], gradient[None]),
        lambda: landmark_stage_cpu._factored(-good.numpy(), gradient[:, None].numpy()),
    ):
        with pytest.raises(FitError, match="no unique solution"):
            solve()


def test_what_the_toy_has_is_recovered(toy_model):
    """Few components: not only the picture but the coefficients, the pose and the size come back."""
    identity = torch.tensor([[0.8, -0.5, 1.0, 0.3]])
    expression = torch.tensor([[0.3, 0.6, 0.0]])
    rotvec, translation = torch.tensor([[0.1, 0.4, -0.2]]), torch.tensor([[8.0, -6.0, -700.0]])
    landmarks = seen(toy_model, identity, expression, rotvec, translation)
    value = solve_landmarks(toy_model, landmarks, torch.ones(1, 478), CAMERA, WEAK)
    assert torch.allclose(value.rotvec, rotvec, atol=2e-3)
    assert torch.allclose(value.translation, translation, atol=3)
    assert torch.allclose(value.identity, identity, atol=0.05)
    assert torch.allclose(value.expression, expression, atol=0.05)


def test_activations_stay_in_their_box(model):
    identity, expression = person(model, seed=3)
    expression = (expression * 3).clamp(0, 1)
    landmarks = seen(model, identity, expression, torch.zeros(1, 3), torch.tensor([[0.0, 0.0, -900.0]]))
    value = solve_landmarks(model, landmarks, torch.ones(1, 478), CAMERA, WEAK)
    assert value.expression.min() >= 0 and value.expression.max() <= 1


def test_priors_hold_what_landmarks_do_not_say(model):
    """The stronger the prior, the nearer to the mean face; never the other way."""
    identity, expression = person(model, seed=1)
    landmarks = seen(model, identity, expression, torch.zeros(1, 3), torch.tensor([[0.0, 0.0, -900.0]]))
    length = []
    for strength in (1e-2, 1.0, 1e2, 1e6):
        weights = Weights(landmark=100.0, identity=strength, expression=strength)
        config = dataclasses.replace(WEAK, weights=weights, landmark_iterations=10)
        value = solve_landmarks(model, landmarks, torch.ones(1, 478), CAMERA, config)
        length.append(value.identity.norm().item() + value.expression.norm().item())
    assert length[0] > length[1] > length[2] > length[3] and length[3] < 0.01


def test_a_mirrored_face_gives_the_mirrored_fit(model):
    identity, expression = person(model, seed=2)
    landmarks = seen(model, identity, expression, torch.tensor([[0.1, 0.4, 0.05]]), torch.tensor([[20.0, 0.0, -900.0]]))
    flipped = landmarks[:, torch.from_numpy(MIRROR.copy())]
    flipped = torch.stack([224 - flipped[..., 0], flipped[..., 1]], -1)
    both = solve_landmarks(model, torch.cat([landmarks, flipped]), torch.ones(2, 478), cameras(2), FitConfig())
    yaw = head_yaw(rotation_matrix(both.rotvec))
    assert yaw[0].item() == pytest.approx(-yaw[1].item(), abs=1.0)
    assert both.translation[0, 0].item() == pytest.approx(-both.translation[1, 0].item(), abs=2)
    verts = model.shape(both.identity, both.expression)
    mirrored = verts[1, model.symmetry] * torch.tensor([-1.0, 1, 1])
    near = model.verts[:, 2] > 0  # the face; the back of the head is nobody's business here
    assert (verts[0] - mirrored)[near].norm(dim=1).mean() < 0.5


def test_faces_together_and_alone(model):
    identity, expression = person(model, batch=3, seed=4)
    rotvec = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.6, 0.0], [0.0, -0.3, 1.2]])
    landmarks = seen(model, identity, expression, rotvec, torch.tensor([[0.0, 0.0, -900.0]]).repeat(3, 1))
    together = solve_landmarks(model, landmarks, torch.ones(3, 478), cameras(3), FitConfig())
    for face in range(3):
        alone = solve_landmarks(model, landmarks[[face]], torch.ones(1, 478), CAMERA, FitConfig())
        one, two = (model.shape(v.identity, v.expression) for v in (alone, together[face]))
        assert (one - two).abs().max() < 1e-4  # mm
        assert (alone.rotvec - together.rotvec[face]).abs().max() < 1e-5


def test_a_landmark_without_confidence_does_not_count(model):
    identity, expression = person(model)
    landmarks = seen(model, identity, expression, torch.zeros(1, 3), torch.tensor([[0.0, 0.0, -900.0]]))
    confidence = torch.ones(1, 478)
    confidence[0, 60:90] = 0
    wild = landmarks.clone()
    wild[0, 60:90] += 300
    one, two = (solve_landmarks(model, v, confidence, CAMERA, FitConfig()) for v in (landmarks, wild))
    # the first pose takes all points; what is solved after it must not
    assert (model.shape(one.identity, one.expression) - model.shape(two.identity, two.expression)).abs().max() < 0.2


def test_a_single_wild_landmark_pulls_little(model):
    identity, expression = person(model)
    landmarks = seen(model, identity, expression, torch.zeros(1, 3), torch.tensor([[0.0, 0.0, -900.0]]))
    wild = landmarks.clone()
    wild[0, 61] += torch.tensor([40.0, 0.0])
    one, two = (solve_landmarks(model, v, torch.ones(1, 478), CAMERA, FitConfig()) for v in (landmarks, wild))
    moved = model.shape(one.identity, one.expression) - model.shape(two.identity, two.expression)
    assert moved.norm(dim=-1).mean() < 2  # mm, of the 35 that the landmark is off


def test_points_that_are_no_face_are_an_error_or_a_finite_fit(model):
    """Never NaN: either the stage says so, or what comes out can be used."""
    for landmarks in (torch.full((1, 478, 2), 112.0), torch.rand(1, 478, 2) * 224, torch.full((1, 478, 2), 1e12)):
        try:
            value = solve_landmarks(model, landmarks, torch.ones(1, 478), CAMERA, FitConfig())
        except FitError as error:
            assert "landmark" in str(error)
            continue
        assert all(torch.isfinite(tensor).all() for tensor in value.tensors().values())


def test_the_basis_is_made_once_per_model_and_goes_with_it(toy_model):
    model = dataclasses.replace(toy_model)
    basis = landmark_basis(model)
    assert landmark_basis(model) is basis
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


# ---------------------------------------------------------------- one face at a time on the CPU


@pytest.mark.parametrize("config", [FitConfig(), dataclasses.replace(FitConfig(), calibrated=False)])
def test_the_cpu_steps_equal_their_batched_twin(model, config, monkeypatch):
    """The same Gauss-Newton, so the same pose, identity and expression after any number of iterations."""
    monkeypatch.setattr("facefit.fit.landmark_stage_cpu.STILL_COEFFICIENT", 0.0)  # the twin has no early end
    identity, expression = person(model, batch=2, seed=6)
    expression[0] *= 2.5  # some activations come to their bounds
    rotvec = torch.tensor([[0.1, 0.6, 0.0], [0.0, -0.3, 0.4]])
    landmarks = seen(model, identity, expression, rotvec, torch.tensor([[0.0, 0.0, -900.0]]).repeat(2, 1))
    landmarks = landmarks + torch.randn(landmarks.shape, generator=torch.Generator().manual_seed(0))
    confidence = torch.ones(2, 478)
    confidence[:, 100:120] = 0
    for iterations in (0, 1, 6):
        number = dataclasses.replace(config, landmark_iterations=iterations)
        found = []
        for form in (landmark_stage_cpu, landmark_stage_torch):
            rotation, at = first_pose(model, landmarks, cameras(2))
            with torch.no_grad():
                problem = LandmarkProblem(model, landmarks, confidence, cameras(2), number)
                found.append(form.solve(problem, rotation.float(), at.float()))
        (r, t, c), (r2, t2, c2) = found
        assert (r - r2).abs().max() < 1e-4 and (t - t2).abs().max() < 0.5  # mm along the ray of a far camera
        one, two = (model.shape(v[:, : identity.shape[1]], v[:, identity.shape[1] :]) for v in (c, c2))
        assert (one - two).abs().max() < 0.05


def test_ending_early_changes_nothing_that_matters(model, monkeypatch):
    identity, expression = person(model, seed=5)
    landmarks = seen(model, identity, expression, torch.tensor([[0.1, 0.2, 0.0]]), torch.tensor([[0.0, 0.0, -900.0]]))
    # with a stronger prior a vertex of this toy's coarse contour is chosen to and fro: it never ends early
    weights = dataclasses.replace(FitConfig().weights, identity=0.3)
    config = dataclasses.replace(FitConfig(), landmark_iterations=20, weights=weights)
    early = solve_landmarks(model, landmarks, torch.ones(1, 478), CAMERA, config)
    monkeypatch.setattr("facefit.fit.landmark_stage_cpu.STILL_COEFFICIENT", 0.0)
    late = solve_landmarks(model, landmarks, torch.ones(1, 478), CAMERA, config)
    one, two = (model.shape(v.identity, v.expression) for v in (early, late))
    assert 0 < (one - two).abs().max() < 0.05  # mm


@pytest.mark.parametrize("form", ["cpu", "batched"])
def test_a_known_face_keeps_its_identity_and_finds_the_rest(model, monkeypatch, form):
    """Given the true identity as fixed, pose and expression come nearer to the truth than without it."""
    if form == "batched":
        monkeypatch.setattr(landmark_stage_cpu, "solve", landmark_stage_torch.solve)
    truth = rendered_face.person(model, yaw=15.0, seed=5, jawOpen=0.5, mouthSmileLeft=0.4)
    photo = rendered_face.photograph(model, truth)
    arguments = photo.observation.landmarks, torch.ones(1, 478), photo.observation.camera, FitConfig()
    free = solve_landmarks(model, *arguments)
    known = solve_landmarks(model, *arguments, start=truth, fixed=("identity",))
    assert torch.equal(known.identity, truth.identity) and not torch.equal(free.identity, truth.identity)
    assert (known.expression - truth.expression).norm() < (free.expression - truth.expression).norm()
    still = solve_landmarks(model, *arguments, start=truth, fixed=("identity", "expression"))
    assert torch.equal(still.expression, truth.expression)
    assert (still.translation - truth.translation).norm() < 1.0


@pytest.mark.parametrize("form", [landmark_stage_cpu, landmark_stage_torch], ids=["cpu", "torch"])
def test_shut_eyes_of_people_whose_eyes_are_wide_and_narrow(model, form):
    """What a blink does depends on the identity (correctives): only a stage that knows it finds the landmarks of shut
    eyes again."""
    identity = torch.zeros(1, model.sizes["identity"])
    identity[0] = 2.5 * torch.nn.functional.normalize(model.correctives.identity[0], dim=0)  # unusual lids
    expression = torch.zeros(1, model.sizes["expression"])
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        expression[0, model.expression_names.index(name)] = 1.0
    rotation, translation = rotation_matrix(torch.zeros(1, 3)), torch.tensor([[0.0, 0.0, -900.0]])
    landmarks = seen(model, identity, expression, torch.zeros(1, 3), translation)
    known = dataclasses.replace(Parameters.zeros(model.sizes), identity=identity)
    problem = LandmarkProblem(model, landmarks, torch.ones(1, 478), CAMERA, WEAK, start=known, fixed=("identity",))
    turned, moved, coefficients = form.solve(problem, rotation, translation)
    found = coefficients[:, problem.parts()["expression"]]
    again = seen(model, identity, found, rotation_vector(turned.double()).float(), moved)
    lids = [index for pair in LID_PAIRS for index in pair]
    assert (again - landmarks)[0, lids].norm(dim=1).max() < 0.1  # pixels; half a millimetre of lid are 0.6
    assert found[0, [model.expression_names.index(n) for n in ("eyeBlinkLeft", "eyeBlinkRight")]].min() > 0.9


# ---------------------------------------------------------------- decoders


@pytest.fixture(scope="module")
def bent_toy():
    """A decoder that bends its coefficients."""
    pytest.importorskip("onnx")
    from helpers.bent_toy import bent

    return from_arrays(bent(toy_arrays()))


@pytest.mark.parametrize("form", [landmark_stage_cpu, landmark_stage_torch], ids=["cpu", "torch"])
def test_a_decoder_is_linearised_where_it_is(bent_toy, form):
    """Two and three deviations out the toy's slopes are half of those at rest: what has them finds the code."""
    identity, expression = torch.tensor([[2.0, -3.0, 1.0, 2.5]]), torch.tensor([[0.3, 0.9, 0.0]])
    rotvec, translation = torch.tensor([[0.1, 0.4, -0.2]]), torch.tensor([[8.0, -6.0, -700.0]])
    landmarks = seen(bent_toy, identity, expression, rotvec, translation)
    problem = LandmarkProblem(bent_toy, landmarks, torch.ones(1, 478), CAMERA, WEAK)
    rotation, at = first_pose(bent_toy, landmarks, CAMERA)
    _, moved, coefficients = form.solve(problem, rotation.float(), at.float())
    assert torch.allclose(coefficients[:, :4], identity, atol=0.05)
    assert torch.allclose(coefficients[:, 4:], expression, atol=0.05)
    assert torch.allclose(moved, translation, atol=3)


def test_the_cpu_steps_of_a_decoder_equal_their_batched_twin(bent_toy, monkeypatch):
    monkeypatch.setattr("facefit.fit.landmark_stage_cpu.STILL_COEFFICIENT", 0.0)
    identity, expression = 2 * person(bent_toy, batch=2, seed=6)[0], torch.tensor([[0.9, 0.2, 0.4], [0.0, 0.1, 1.0]])
    rotvec = torch.tensor([[0.1, 0.6, 0.0], [0.0, -0.3, 0.4]])
    landmarks = seen(bent_toy, identity, expression, rotvec, torch.tensor([[0.0, 0.0, -900.0]]).repeat(2, 1))
    problem = LandmarkProblem(bent_toy, landmarks, torch.ones(2, 478), cameras(2), FitConfig())
    rotation, at = first_pose(bent_toy, landmarks, cameras(2))
    (r, t, c), (r2, t2, c2) = (f.solve(problem, rotation.float(), at.float())
                               for f in (landmark_stage_cpu, landmark_stage_torch))  # fmt: skip
    assert (r - r2).abs().max() < 1e-4 and (t - t2).abs().max() < 0.5 and (c - c2).abs().max() < 0.01


def test_a_linear_model_as_a_decoder_has_the_same_stage(toy_model):
    pytest.importorskip("onnx")
    from training.decoder.linear import as_decoder

    decoded = from_arrays(as_decoder(toy_arrays()))
    identity, expression = person(toy_model, batch=2, seed=6)
    landmarks = seen(toy_model, identity, expression, torch.zeros(2, 3), torch.tensor([[0.0, 0.0, -900.0]] * 2))
    one, two = (solve_landmarks(m, landmarks, torch.ones(2, 478), cameras(2), FitConfig())
                for m in (toy_model, decoded))  # fmt: skip
    both = [m.shape(v.identity, v.expression) for m, v in ((toy_model, one), (decoded, two))]
    assert (both[0] - both[1]).norm(dim=-1).max() < 0.02  # mm

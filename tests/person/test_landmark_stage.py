"""The coupled landmark stage: its step is that of the whole system, and several photos know more than one."""

import dataclasses

import pytest
import torch
from helpers.rendered_face import person, photograph, together

from facefit.errors import FitError
from facefit.fit.config import FitConfig
from facefit.fit.landmark_stage import solve_landmarks
from facefit.geometry.camera import window_camera
from facefit.person.landmark_stage import schur_step, solve_together
from facefit.person.sharing import Sharing
from facefit.scene.parameters import Parameters


def test_the_step_is_that_of_the_whole_system():
    generator = torch.Generator().manual_seed(0)
    photos, own, shared = 3, [0, 1, 4], [2, 3]
    jacobian = torch.randn(photos, 12, 5, generator=generator, dtype=torch.double)
    normal, gradient = (
        jacobian.transpose(1, 2) @ jacobian,
        torch.randn(photos, 5, generator=generator, dtype=torch.double),
    )
    whole, right = torch.zeros(2 + 3 * photos, 2 + 3 * photos).double(), torch.zeros(2 + 3 * photos).double()
    for k in range(photos):
        place = torch.tensor([2 + 3 * k, 3 + 3 * k, 0, 1, 4 + 3 * k])
        whole[place[:, None], place] += normal[k]
        right[place] += gradient[k]
    wanted = -torch.linalg.solve(whole, right)
    step = schur_step(normal, gradient, torch.tensor(shared), torch.tensor(own))
    assert torch.allclose(step[:, shared], wanted[:2].expand(photos, -1), atol=1e-4)
    assert torch.allclose(step[:, own].reshape(-1), wanted[2:], atol=1e-4)


def test_a_system_without_a_solution_is_refused():
    with pytest.raises(FitError, match="unique"):
        schur_step(-torch.eye(4).expand(2, 4, 4), torch.ones(2, 4), torch.tensor([0]), torch.tensor([1, 2, 3]))


@pytest.fixture(scope="module")
def album(default_model):
    people = together(*(person(default_model, seed=3, yaw=yaw, jawOpen=0.1 * k) for k, yaw in enumerate((-25, 0, 25))))
    return people, photograph(default_model, people, 160).observation


def test_photos_together_are_nearer_to_the_person_than_the_mean_of_them(default_model, album):
    truth, observation = album
    # these landmarks are exact: under the weight for a detector's the prior would decide in both
    config = dataclasses.replace(FitConfig(), weights=dataclasses.replace(FitConfig().weights, identity=0.3))
    camera = window_camera(observation.camera, observation.window)
    single = Parameters.cat(
        [
            solve_landmarks(
                default_model, observation.landmarks[[k]], observation.landmark_confidence[[k]], camera[[k]], config
            )
            for k in range(3)
        ]
    )
    found = solve_together(observation, single, default_model, config, Sharing(agreement=0.0))
    assert torch.equal(found.identity[0], found.identity[1]) and torch.equal(found.identity[0], found.identity[2])
    assert not torch.allclose(found.expression[0], found.expression[2], atol=0.02)

    def off(identity):
        rest = torch.zeros(1, default_model.sizes["expression"])
        difference = default_model.shape(identity, rest) - default_model.shape(truth.identity[:1], rest)
        return float(default_model.landmarks(difference).square().mean())

    assert off(found.identity[:1]) < 0.9 * off(single.identity.mean(0, keepdim=True))


def test_a_face_that_keeps_still_has_one_expression(default_model, album):
    start = Parameters.zeros(default_model.sizes, 3)
    found = solve_together(album[1], start, default_model, FitConfig(), Sharing(static=True))
    assert torch.equal(found.expression[0], found.expression[2]) and found.expression.abs().max() > 0.01
    assert not torch.allclose(found.rotvec[0], found.rotvec[2], atol=0.3)

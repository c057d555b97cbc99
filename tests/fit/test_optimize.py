"""The loop: finds minima, keeps the best iterate and the box, names what is no number, lets no face touch another."""

import time
import types

import pytest
import torch

from facefit.fit.adam import BETAS, Adam, cosine_decay
from facefit.fit.config import Stage, Steps
from facefit.fit.optimize import minimize
from facefit.scene.parameters import Parameters

SIZES = {"identity": 5, "expression": 4, "albedo": 3}
SCALE = torch.tensor([1.0, 2.0, 0.5, 4.0, 1.5])
STEPS = Steps(identity=0.05, expression=0.05, albedo=0.05, rotvec=0.01, translation=5.0, sh=0.02, gaze=0.02)


def start(batch=1, seed=0):
    """Each face from a place of its own."""
    generator = torch.Generator().manual_seed(seed)
    value = Parameters.zeros(SIZES, batch)
    tensors = value.tensors()
    tensors["identity"] = torch.randn(batch, 5, generator=generator)
    return Parameters(**tensors)


def bowl(centre):
    """identity towards `centre` (B, 5), expression towards 0.3, the depth towards -900 mm."""

    def energy(value, iteration):
        return {
            "landmark": (SCALE * (value.identity - centre) ** 2).sum(1),
            "expression": ((value.expression - 0.3) ** 2).sum(1),
            "prior": 1e-4 * (value.translation[:, 2] + 900) ** 2,
        }

    return energy


def run(energy, begin, activation=True, iterations=400, patience=40, tolerance=1e-6, final_step=0.02, **more):
    stage = Stage(iterations=iterations, patience=patience, tolerance=tolerance, final_step=final_step)
    return minimize(energy, begin, stage, STEPS, activation=activation, **more)


def test_finds_the_minimum_of_a_bowl():
    centre = torch.tensor([[0.5, -1.0, 2.0, 0.1, -0.3]])
    found = run(bowl(centre), start())
    assert torch.allclose(found.parameters.identity, centre, atol=0.01)
    assert torch.allclose(found.parameters.expression, torch.full((1, 4), 0.3), atol=0.01)
    assert found.parameters.translation[0, 2].item() == pytest.approx(-900, abs=2)
    assert found.total.item() < 1e-2
    assert found.total.item() == pytest.approx(sum(value.item() for value in found.energies.values()))


def test_walks_along_a_curved_valley():
    def rosenbrock(value, iteration):
        x, y = value.identity[:, 0], value.identity[:, 1]
        return {"valley": (1 - x) ** 2 + 20 * (y - x * x) ** 2}

    begin = start()
    begin.identity[:, :2] = torch.tensor([-1.0, 1.0])
    found = run(rosenbrock, begin, iterations=1500, patience=200)
    assert torch.allclose(found.parameters.identity[0, :2], torch.ones(2), atol=0.08)


def test_the_best_iterate_is_kept_and_not_the_last():
    """An energy that grows again: what was found in the middle is what counts."""
    seen = []

    def energy(value, iteration):
        seen.append(value.identity.detach().clone())
        return {"rising": abs(iteration - 7.0) + 1e-3 * value.identity.sum(1)}  # a slope, so that each step moves

    found = run(energy, start(), iterations=20)
    assert torch.equal(found.parameters.identity, seen[7]) and not torch.equal(seen[7], seen[-1])
    assert found.total.item() == pytest.approx(1e-3 * seen[7].sum().item())


def test_an_energy_that_becomes_another_one_is_no_step_back():
    class Jumping:
        jump, more = None, 50.0

        def __call__(self, value, iteration):
            self.jump = torch.tensor([50.0]) if iteration == 10 else None
            terms = bowl(torch.full((1, 5), 2.0))(value, iteration)
            return {**terms, "other": terms["prior"] * 0 + (self.more if iteration >= 10 else 0.0)}

    found = run(Jumping(), start(), patience=8)
    assert torch.allclose(found.parameters.identity, torch.full((1, 5), 2.0), atol=0.05)
    assert found.energies["other"].item() == 50  # the best one is of the energy as it was in the end
    worse = Jumping()
    worse.more = 90.0
    early = run(worse, start(), iterations=10, patience=8)  # the energy jumps after the best one
    assert early.energies["other"].item() == 0
    assert early.total.item() == pytest.approx(sum(value.item() for value in early.energies.values()))


def test_energies_are_those_of_the_best_iterate():
    centre = torch.zeros(1, 5)
    found = run(bowl(centre), start(), iterations=30)
    again = bowl(centre)(found.parameters, 0)
    assert all(torch.allclose(found.energies[name], again[name]) for name in again)
    assert found.total.item() <= min(sum(v for k, v in row.items() if k != "iteration") for row in found.trace) + 1e-6


@pytest.mark.parametrize("target", [-1.0, 2.0])
def test_activations_stay_in_their_box(target):
    def energy(value, iteration):
        assert (value.expression >= 0).all() and (value.expression <= 1).all()
        return {"pull": ((value.expression - target) ** 2).sum(1)}

    found = run(energy, start(), iterations=60)
    assert torch.allclose(found.parameters.expression, torch.full((1, 4), float(target > 0)))
    free = run(lambda v, i: {"pull": ((v.expression - target) ** 2).sum(1)}, start(), activation=False)
    assert torch.allclose(free.parameters.expression, torch.full((1, 4), target), atol=0.05)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_term_that_is_no_number_is_named(wrong):
    def energy(value, iteration):
        good = (value.identity**2).sum(1)
        return {"landmark": good, "photometric": good * (wrong if iteration == 3 else 1)}

    found = run(energy, start())
    assert found.status == ("failed",)
    assert found.failures == ("iteration 3: the photometric energy is not a finite number",)


def test_every_face_of_a_batch_is_on_its_own():
    """Faces with different ends, one of which is there at once: alone or together, the same numbers."""
    begin = start(3)
    centres = torch.stack([torch.full((5,), 2.0), begin.identity[1], torch.full((5,), -1.0)])
    together = run(bowl(centres), begin, iterations=80, patience=5, tolerance=1e-3)
    for face in range(3):
        alone = run(bowl(centres[face : face + 1]), begin[face], iterations=80, patience=5, tolerance=1e-3)
        for name, value in alone.parameters.tensors().items():
            assert torch.equal(together.parameters[face].tensors()[name], value), (face, name)
        assert together.status[face] == alone.status[0]
        assert together.total[face] == alone.total[0]


class Bowls:
    """Bowls that can leave a batch, and one that breaks at an iteration."""

    def __init__(self, centres, breaks=None, sizes=None):
        self.centres, self.breaks = centres, torch.full((len(centres),), 10**6) if breaks is None else breaks
        self.sizes = [] if sizes is None else sizes

    def __call__(self, value, iteration):
        self.sizes.append(value.batch)
        terms = bowl(self.centres)(value, iteration)
        terms["prior"] = torch.where(self.breaks <= iteration, torch.nan, terms["prior"])
        return terms

    def keep(self, faces):
        return Bowls(self.centres[faces], self.breaks[faces], self.sizes)


def test_faces_leave_the_batch_when_they_stop():
    begin = start(4)
    centres = torch.stack([torch.full((5,), 2.0), begin.identity[1], torch.full((5,), -1.0), torch.full((5,), 9.0)])
    energy = Bowls(centres)
    together = run(energy, begin, iterations=80, patience=5, tolerance=1e-3)
    assert energy.sizes[0] == 4 and energy.sizes[-1] < 4
    assert sum(energy.sizes) == sum(len(trace) for trace in together.traces)  # nobody is computed for nothing
    still = run(bowl(centres), begin, iterations=80, patience=5, tolerance=1e-3)
    order = [2, 0, 3, 1]
    shuffled = run(Bowls(centres[order]), begin[order], iterations=80, patience=5, tolerance=1e-3)
    for place, face in enumerate(order):
        alone = run(Bowls(centres[[face]]), begin[face], iterations=80, patience=5, tolerance=1e-3)
        for other, index in ((together, face), (still, face), (shuffled, place)):
            assert torch.equal(other.parameters.identity[index], alone.parameters.identity[0])
            assert other.status[index] == alone.status[0] and other.traces[index] == alone.trace


@pytest.mark.parametrize("leaves", [True, False])
def test_a_face_that_fails_fails_alone(leaves):
    begin, centres = start(3), torch.zeros(3, 5)
    breaks = torch.tensor([10**6, 4, 10**6])
    energy = Bowls(centres, breaks) if leaves else lambda v, i: Bowls(centres, breaks)(v, i)
    found = run(energy, begin, iterations=30)
    assert found.status == ("budget", "failed", "budget")
    assert found.failures == (None, "iteration 4: the prior energy is not a finite number", None)
    assert len(found.traces[1]) == 5 and len(found.traces[0]) == 31
    for face in (0, 2):
        alone = run(Bowls(centres[[face]]), begin[face], iterations=30)
        assert torch.equal(found.parameters.identity[face], alone.parameters.identity[0])
    assert torch.isfinite(found.parameters.identity).all()


def test_seconds_are_shared_among_the_faces_that_are_fitted(monkeypatch):
    """Alone or with three others: as many iterations for a budget of seconds, where a face costs the same."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr("facefit.fit.optimize.time", types.SimpleNamespace(perf_counter=lambda: clock.now))

    class Slow(Bowls):
        def __call__(self, value, iteration):
            clock.now += 0.25 * value.batch
            return super().__call__(value, iteration)

        def keep(self, faces):
            return Slow(self.centres[faces], self.breaks[faces])

    stage = {"iterations": 100, "patience": 100, "max_seconds": 2.4}
    alone, company = (run(Slow(torch.ones(n, 5)), start(n), **stage) for n in (1, 4))
    assert company.status == ("seconds",) * 4 and alone.status == ("seconds",)
    assert company.iterations == alone.iterations == 9
    assert company.seconds == pytest.approx([2.5] * 4)


def test_a_converged_face_is_frozen_while_its_neighbour_goes_on():
    def energy(value, iteration):
        # the first face's energy stalls, then falls again after it was declared converged
        stalled = (value.identity[:1] ** 2).sum(1) * 0 + (1.0 if iteration < 20 else 0.5)
        return {"a": torch.cat([stalled, (value.identity[1:] - 3).pow(2).sum(1)])}

    found = run(energy, start(2), iterations=60, patience=5, tolerance=1e-3)
    assert found.status[0] == "converged" and found.iterations > 20
    assert found.total[0].item() == 1.0


def test_stops_early_when_nothing_changes():
    found = run(lambda v, i: {"flat": 0 * v.identity.sum(1) + 3.0}, start(), iterations=200, patience=6)
    assert found.status == ("converged",) and found.iterations == 6
    longer = run(bowl(torch.full((1, 5), 9.0)), start(), iterations=10)
    assert longer.status == ("budget",) and longer.iterations == 10


def test_no_iteration_returns_the_start_with_its_energy():
    begin = start()
    found = run(bowl(torch.zeros(1, 5)), begin, iterations=0)
    assert torch.equal(found.parameters.identity, begin.identity) and found.iterations == 0
    assert found.energies["landmark"].item() == pytest.approx((SCALE * begin.identity**2).sum().item())


def test_a_budget_of_seconds():
    def slow(value, iteration):
        time.sleep(0.01)
        return {"a": (value.identity**2).sum(1)}

    began = time.perf_counter()
    found = run(slow, start(), iterations=10_000, patience=10_000, max_seconds=0.1)
    assert time.perf_counter() - began < 1.0
    assert 0 < found.iterations < 12 and found.status == ("seconds",)


def test_the_same_start_gives_the_same_bits_and_is_left_alone():
    begin = start()
    before = begin.identity.clone()
    one, two = (run(bowl(torch.ones(1, 5)), begin, iterations=50) for _ in range(2))
    assert all(torch.equal(one.parameters.tensors()[n], v) for n, v in two.parameters.tensors().items())
    assert one.trace == two.trace
    assert torch.equal(begin.identity, before) and not begin.identity.requires_grad
    assert not any(v.requires_grad for v in one.parameters.tensors().values())


def test_the_report_and_the_trace_tell_of_every_iteration():
    calls = []
    found = run(bowl(torch.zeros(1, 5)), start(), iterations=5, report=lambda i, terms: calls.append((i, terms)))
    assert [i for i, _ in calls] == [0, 1, 2, 3, 4, 5]
    assert [row["iteration"] for row in found.trace] == [0, 1, 2, 3, 4, 5]
    assert calls[2][1]["landmark"] == found.trace[2]["landmark"]
    assert found.trace[5]["landmark"] < found.trace[0]["landmark"]


def test_a_parameter_that_no_energy_needs_stays_where_it_is():
    begin = start()
    found = run(bowl(torch.zeros(1, 5)), begin, iterations=20)
    for name in ("albedo", "sh", "gaze", "rotvec"):
        assert torch.equal(found.parameters.tensors()[name], begin.tensors()[name])


def test_adam_equals_that_of_torch():
    generator = torch.Generator().manual_seed(3)
    ours, rates = torch.randn(2, 4, generator=generator), torch.tensor([0.1, 0.02, 0.3, 0.1])
    theirs = [column.clone().requires_grad_(True) for column in ours.unbind(1)]
    adam = Adam(ours, rates)
    groups = [{"params": [value], "lr": float(rate)} for value, rate in zip(theirs, rates, strict=True)]
    twin = torch.optim.Adam(groups, betas=BETAS)
    for step in range(20):
        slope = torch.randn(2, 4, generator=generator)
        slope[:, 3] = 0  # what nothing depends on stays where it is
        scale = 1 / (1 + step)
        for value, part, group, rate in zip(theirs, slope.unbind(1), twin.param_groups, rates, strict=True):
            value.grad, group["lr"] = part.clone(), float(rate) * scale
        twin.step()
        adam.step(slope, scale)
    torch.testing.assert_close(ours, torch.stack([value.detach() for value in theirs], 1))


def test_steps_fall_along_half_a_cosine():
    assert [cosine_decay(0.1, k, 60) for k in (0, 30, 60)] == pytest.approx([1, 0.55, 0.1])
    assert 1 - cosine_decay(0.1, 5, 60) < 0.05 < 1 - cosine_decay(0.1, 15, 60)

"""The loop of a fit asks the device for nothing and sends it nothing: where there is no data, such lines raise."""

import sys
import types
from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from helpers.rendered_face import person, photograph, together

from facefit.compute.derived import derived, kept
from facefit.compute.mailbox import LAG, Mailbox, device_index
from facefit.energies.prdl.load import fused
from facefit.fit.config import FitConfig, override
from facefit.fit.objective import Objective
from facefit.fit.optimize import minimize
from facefit.render import load_renderer
from facefit.scene.landmarks import contour_stop, landmark_trust
from facefit.scene.part_points import part_points

META = torch.device("meta")
CONFIG = replace(FitConfig(), stage=replace(FitConfig().stage, refresh=3))  # what is discrete is chosen again soon


class NowhereRenderer:
    """The contract of facefit.render.Renderer, without pixels."""

    def rasterize(self, clip, faces, size):
        return clip.new_zeros(len(clip), size, size, 4) + 0 * clip.sum()

    def interpolate(self, attributes, rast, faces):
        return rast.new_zeros(*rast.shape[:3], attributes.shape[2]) + 0 * attributes.sum()

    def antialias(self, color, rast, clip, faces):
        return color + 0 * clip.sum()


class PrdlNowhere(torch.autograd.Function):
    @staticmethod
    def forward(ctx, points, bound, targets, wanted, huber):
        ctx.save_for_backward(points)
        return points.new_zeros(len(points), 8)

    @staticmethod
    def backward(ctx, grad):
        return torch.zeros_like(ctx.saved_tensors[0]), None, None, None, None


def nowhere(value):
    """The same value with all its tensors on a device that has no data."""
    if isinstance(value, torch.Tensor):
        return value.to(META)
    if is_dataclass(value) and not isinstance(value, type):
        moved = object.__new__(type(value))
        for name, part in vars(value).items():
            if name != "_control":  # of the CPU alone
                object.__setattr__(moved, name, nowhere(part))
        for key in kept(value):
            if "map" not in str(key):  # sparse maps are of the CPU alone
                made = nowhere(derived(value, key, None))
                derived(moved, key, lambda _, made=made: made)
        return moved
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return type(value)(nowhere(part) for part in value)
    return value


@pytest.fixture
def objective(default_model, monkeypatch):
    model = default_model
    two = photograph(model, together(person(model, seed=1), person(model, yaw=20.0, seed=2)), 48)
    whole = Objective(two.observation, model, load_renderer("cpu"), CONFIG)
    # what is derived from the model once, before the loop
    part_points(model), contour_stop(model), landmark_trust(model, torch.eye(3)[None])
    whole(two.truth, 0)
    moved = object.__new__(Objective)
    vars(moved).update({name: nowhere(value) for name, value in vars(whole).items()})
    moved.choices, moved.renderer = None, NowhereRenderer()
    monkeypatch.setattr("facefit.fit.choices.fused", lambda device: True)
    triton = types.SimpleNamespace(
        PrdlTriton=PrdlNowhere,
        farthest_of_rows=lambda places, bound, share: torch.empty(places.shape[:2], dtype=torch.bool, device=META),
    )
    for name in ("triton", "farthest_triton"):
        monkeypatch.setitem(sys.modules, f"facefit.energies.prdl.{name}", triton)
    return moved, replace(two.truth, **{f.name: nowhere(getattr(two.truth, f.name)) for f in fields(two.truth)})


def deny_sending(monkeypatch):
    """Tensors made from numbers must not be made for the device: each would be a copy that stops it."""

    def guarded(make):
        def call(*arguments, **named):
            out = make(*arguments, **named)
            assert out.device.type != "meta", "numbers are sent to the device in the loop"
            return out

        return call

    for name in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.setattr(torch, name, guarded(getattr(torch, name)))
    monkeypatch.setattr(torch.Tensor, "new_tensor", guarded(torch.Tensor.new_tensor))


class Unread:
    """A mailbox whose letters nobody opens."""

    def __init__(self, device):
        self.posted = 0

    def post(self, label, news):
        assert news.device == META
        self.posted += 1

    def arrived(self, wait=False):
        return ()


def test_a_fit_never_waits_for_the_device(objective, monkeypatch):
    energy, start = objective
    energy(start, 0)  # index tables are sent once, before the loop
    energy.choices = None
    deny_sending(monkeypatch)
    monkeypatch.setattr("facefit.fit.optimize.Mailbox", Unread)
    config = override(CONFIG, iterations=CONFIG.stage.refresh + 1)
    found = minimize(energy, start, config.stage, config.steps, activation=True)
    assert found.parameters.identity.device == META and found.status == ("budget", "budget")
    assert energy.choices.selection.vertex.device == META


def test_the_audit_sees_what_it_should(objective, monkeypatch):
    """The same loop with one question to the device in it."""
    energy, start = objective
    energy(start, 0)
    deny_sending(monkeypatch)
    monkeypatch.setattr("facefit.fit.optimize.Mailbox", Unread)
    stage, steps = FitConfig().stage, FitConfig().steps
    for question in (lambda p: float(p.rotvec.sum()), lambda p: bool((p.rotvec > 0).all()), lambda p: p.rotvec.cpu(),
                     lambda p: p.rotvec.nonzero(), lambda p: torch.tensor([1.0], device=p.rotvec.device)):  # fmt: skip

        def asking(parameters, iteration, question=question):
            question(parameters)
            return energy(parameters, iteration)

        with pytest.raises((RuntimeError, NotImplementedError, AssertionError)):
            minimize(asking, start, stage, steps, activation=True)


def test_faces_leave_a_batch_without_a_question(objective):
    energy, start = objective
    energy(start, 0)
    kept = energy.keep([1])
    assert kept.observation.batch == 1 and len(kept.choices.selection.bound) == 1
    kept(start[[1]], 1)


def test_fused_needs_cuda_and_triton(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert fused(torch.device("cuda")) and not fused(torch.device("cpu"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not fused(torch.device("cuda"))


def test_letters_arrive_in_order():
    mail = Mailbox("cpu")
    mail.post("a", torch.ones(2))
    mail.post("b", torch.zeros(2))
    assert [label for label, _ in mail.arrived()] == ["a", "b"] and not list(mail.arrived())
    assert device_index([2, 0], torch.device("cpu")).tolist() == [2, 0]


class Event:
    """A CUDA event that has happened after some questions."""

    def __init__(self, patience):
        self.left, self.waited = patience, False

    def query(self):
        self.left -= 1
        return self.left < 0

    def synchronize(self):
        self.waited, self.left = True, 0


def test_the_host_waits_only_for_a_letter_that_lags():
    mail = Mailbox("cuda")
    events = [Event(10**6) for _ in range(LAG + 2)]
    for number, event in enumerate(events):
        mail._under_way.append((number, torch.zeros(1), event))
    assert [label for label, _ in mail.arrived()] == [0, 1]
    assert [event.waited for event in events] == [True] * 2 + [False] * LAG
    assert [label for label, _ in mail.arrived(wait=True)] == list(range(2, LAG + 2))

"""Training of the dense observation: batches, their mirror images, the loss, a few steps, errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from facefit.observe.dense import REACH
from facefit.observe.dense_surface import exposed, sampled
from training.observation import __main__ as program
from training.observation import train as training
from training.observation.export import export
from training.observation.network import OUT, DenseNetwork
from training.observation.samples import Samples, Scans
from training.observation.train import Schedule, batch_of, errors_of, loss_of, train

NARROW = (8, 8, 8, 8)


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Six people whose points lie 4 pixels to the right of where the landmarks have them, on a sphere's normals."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:72, :72] / 36 - 1 + 1 / 72
    normals = np.stack([x, -y, np.sqrt(np.clip(1 - x * x - y * y, 0.1, 1))], 2)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    guess = np.zeros((6, 7, 72, 72), np.int8)
    guess[:, 5:7] = 127  # a flat surface that faces the viewer
    guess[:, 0], guess[:, 1] = 127 * x, 127 * y
    start = np.concatenate([rng.uniform(40, 104, (6, 30, 2)), rng.uniform(-10, 10, (6, 30, 1))], 2).astype(np.float32)
    return Samples(
        rng.integers(0, 255, (6, 144, 144, 3)).astype(np.uint8),
        np.repeat(np.rint(normals * 127).astype(np.int8)[None], 6, 0), np.ones((6, 72, 72), bool), guess, start,
        start + np.array([4, 0, 0], np.float32), np.ones((6, 30), bool), np.arange(6) % 2, np.full(6, 1.5),
    )  # fmt: skip


def truth(batch) -> torch.Tensor:
    """What a perfect network would say, and be sure of."""
    out = torch.zeros(len(batch.guess), OUT, 64, 64)
    out[:, :3], out[:, 4] = functional.normalize(batch.normals, dim=1), 4 / REACH
    return out


class Answer(torch.nn.Module):
    """Says the same of every picture."""

    def __init__(self, out: torch.Tensor) -> None:
        super().__init__()
        self.out = out[:1]

    def forward(self, colours: torch.Tensor, guess: torch.Tensor) -> torch.Tensor:
        return self.out.expand(len(guess), -1, -1, -1)


def test_a_batch_is_the_middle_of_what_is_stored(samples):
    batch = batch_of(samples, np.array([1, 2]))
    assert batch.colours.shape == (2, 3, 128, 128) and batch.guess.shape == (2, 7, 64, 64)
    stored = torch.from_numpy(samples.normals[1, 4:68, 4:68]).permute(2, 0, 1).float() / 127
    torch.testing.assert_close(batch.normals[0], stored)
    torch.testing.assert_close(batch.start[0, :, 0], torch.from_numpy(samples.start[1, :, 0]) - 8)


def test_shifts_move_pictures_maps_and_points_alike(samples):
    """A point and a normal that lie on one pixel of the photo still do, wherever the crop is laid."""
    marked = replace(samples, normals=samples.normals.copy(), start=samples.start.copy())
    marked.normals[:] = 0
    marked.normals[:, 30, 40] = 127
    marked.start[:, 0, :2] = (81, 61)
    for seed in range(6):
        batch = batch_of(marked, np.arange(3), torch.Generator().manual_seed(seed))
        row, column = torch.nonzero(batch.normals[0, 1])[0].tolist()
        assert (batch.start[0, 0, :2] / 2 - 0.5).tolist() == [column, row]


def test_a_mirror_image_of_a_mirror_image_is_the_first(samples):
    batch = batch_of(samples, np.arange(2))
    once, twice = batch.mirrored(), batch.mirrored().mirrored()
    for name in batch.__dataclass_fields__:
        torch.testing.assert_close(getattr(twice, name), getattr(batch, name))
    torch.testing.assert_close(once.normals, batch.normals)  # a sphere is its own mirror image
    torch.testing.assert_close(once.guess, batch.guess)  # and so is this surface
    torch.testing.assert_close(once.points - once.start, (batch.points - batch.start) * torch.tensor([-1.0, 1, 1]))


def test_the_loss_is_least_at_the_truth_and_knows_what_it_does_not_know(samples):
    batch = batch_of(samples, np.arange(2))
    perfect = truth(batch)
    perfect[:, [3, 7, 8]] = -3
    best = loss_of(perfect, batch)
    for channel in (0, 2, 4, 5, 6):
        worse = perfect.clone()
        worse[:, channel] += 0.2
        assert loss_of(worse, batch) > best + 0.5
    hidden = replace(batch, seen=torch.zeros_like(batch.seen), facing=torch.zeros_like(batch.facing))
    assert loss_of(perfect, hidden) == 0
    wrong = perfect.clone()
    wrong[:, 5] += 0.5
    sure, unsure = loss_of(wrong, batch), loss_of(wrong + torch.eye(OUT)[7][None, :, None, None] * 2, batch)
    assert unsure < sure


def test_maps_are_sampled_at_pixels_of_the_crop():
    ramp = (torch.arange(64.0) * 2 + 1)[None, None, None].expand(1, 1, 64, 64)  # each pixel holds where it lies
    points = torch.tensor([[[31.0, 5.0], [64.0, 100.0], [100.5, 60.0]]])
    torch.testing.assert_close(sampled(ramp, points, 128)[0, :, 0], points[0, :, 0])


def test_exposure_leaves_nothing_of_brightness_and_contrast():
    image, face = torch.rand(2, 3, 128, 128), torch.ones(2, 64, 64)
    torch.testing.assert_close(exposed(0.3 * image + 0.4, face), exposed(image, face), atol=1e-3, rtol=1e-3)


def test_the_network_starts_from_the_landmarks_and_stays_on_the_sphere(samples):
    batch = batch_of(samples, np.arange(2))
    network = DenseNetwork(NARROW).eval()
    out = network(batch.colours, batch.guess)
    assert out.shape == (2, OUT, 64, 64)
    torch.testing.assert_close(out[:, :3], batch.guess[:, 3:6])
    torch.nn.init.normal_(network.last.weight)
    length = network(batch.colours, batch.guess)[:, :3].norm(dim=1)
    torch.testing.assert_close(length, torch.ones_like(length))


@pytest.fixture
def one_thread():
    """Threads that wait for each other take longer than what these small networks compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_training_learns_and_repeats_itself(samples, one_thread):
    schedule = Schedule(steps=20, batch=2, rate=2e-2, average=0.5, mirror=False, widths=NARROW)
    network = train(samples, schedule)
    errors = errors_of(network, samples)
    assert (
        errors.across.mean() < 0.3 * errors_of(None, samples).across.mean()
    )  # all points lie to the right of where they start
    assert errors.normals.mean() < errors_of(None, samples).normals.mean() - 0.5
    short = replace(schedule, steps=2)
    for one, other in zip(train(samples, short).parameters(), train(samples, short).parameters(), strict=True):
        assert torch.equal(one, other)


def test_an_interrupted_training_goes_on_as_if_nothing_had_been(samples, one_thread, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "KEPT", 2)
    schedule, state = Schedule(steps=3, batch=2, widths=NARROW), tmp_path / "network.state"
    whole = train(samples, schedule, saved=state)
    assert torch.load(state, weights_only=True)["step"] == 2
    rest = train(samples, schedule, saved=state)
    for one, other in zip(whole.state_dict().values(), rest.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_errors_are_none_at_the_truth_and_millimetres_elsewhere(samples):
    perfect = Answer(truth(batch_of(samples, np.arange(1))))
    for twice, left in ((False, 0), (True, 4 * 1.5)):  # who says "right" of a mirror image too means nothing
        errors = errors_of(perfect, samples, twice)
        assert errors.normals.max() < 0.5 and errors.points.max() < 1e-3
        assert errors.across.mean() == pytest.approx(left, abs=1e-3)
    assert errors_of(None, samples).across.mean() == pytest.approx(4 * 1.5, abs=1e-3)


def test_fits_without_the_network_are_measured_alike(samples):
    truth = samples.normals / 127.0
    turned = truth @ np.array([[1, 0, 0], [0, np.cos(0.1), -np.sin(0.1)], [0, np.sin(0.1), np.cos(0.1)]]).T
    scans = Scans(samples, np.array(["a", "b"] * 3), turned, samples.points * 2 + 7)
    errors = scans.fit_errors()
    assert set(errors) == {"a", "b"} and errors["a"]["points"] == 0
    assert 0 < errors["a"]["normals"] < np.degrees(0.1) + 0.5


def test_the_program_does_each_step_once(tmp_path, samples, monkeypatch, capsys):
    """From nothing to errors.json; asked again, it makes nothing again."""
    made = []
    scans = Scans(samples, np.array(["a", "b"] * 3), samples.normals / 127.0, samples.points)
    monkeypatch.setattr(program, "build_skins", lambda folders: made.append("skins") or np.zeros((1, 4, 4)))
    monkeypatch.setattr(program, "build_scans", lambda data: made.append("scans") or {"name": np.array(["a"])})
    monkeypatch.setattr(program, "render_shards", lambda where, ict, skins, count, workers: [where] * count)
    monkeypatch.setattr(program, "load", lambda shards: samples)
    monkeypatch.setattr(program, "load_scans", lambda path: scans)
    monkeypatch.setattr(program, "train", lambda people, *given: made.append(len(people)) or DenseNetwork())
    arguments = [str(tmp_path), "--work", str(tmp_path / "work"), "--shards", "2", "--steps", "1"]
    assert program.main(arguments) == 0 and program.main(arguments) == 0
    assert made == ["skins", "scans", 3, 6]
    assert (tmp_path / "work" / "errors.json").is_file() and (tmp_path / "work" / "skins.npy").is_file()


def test_the_file_answers_as_the_network(tmp_path):
    """But for the rounding of the weights to 16 bits."""
    network = DenseNetwork()
    torch.nn.init.normal_(network.last.weight, std=0.05, generator=torch.Generator().manual_seed(0))
    assert export(network, tmp_path / "dense.onnx") < 0.02
    assert (tmp_path / "dense.onnx").stat().st_size < 2.2e6

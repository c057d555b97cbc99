"""What the network saw, brought from its upright crop into the fit's window; and the program's figures."""

import numpy as np
import pytest
import torch

from facefit.anatomy.parts import MASKS
from facefit.geometry.camera import Camera, WindowTransform
from facefit.observe.observation import Observation
from training.observation import in_fit
from training.observation.in_fit import Looked, seen
from training.observation.network import OUT, REACH, DenseNetwork
from training.observation.rendered import turned_normals
from training.observation.residuals import point_basis

TURN = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
MATRIX = np.column_stack([0.8 * TURN, [20.0, -10.0]])  # photo pixels -> the crop's


@pytest.fixture
def window():
    """Of 224 pixels, half as fine as the photo; the left half of it shows skin."""
    valid = torch.zeros(1, 224, 224)
    valid[..., :112] = 1
    return Observation(
        image=torch.zeros(1, 224, 224, 3), landmarks=torch.zeros(1, 478, 2), landmark_confidence=torch.ones(1, 478),
        part_masks=torch.zeros(1, len(MASKS), 224, 224), valid=valid, brow_line=torch.tensor([[[0.0, 1.0, 0.0]] * 2]),
        camera=Camera(torch.tensor([[900.0, 900.0]]), torch.tensor([[50.0, 50.0]])),
        window=WindowTransform(torch.tensor([[-100.0, -60.0]]), torch.tensor([0.5]), 224),
    )  # fmt: skip


def test_what_was_seen_lies_where_the_photo_has_it(window, default_model):
    points, normal = point_basis(default_model), np.array([0.6, 0.48, 0.64])
    maps = torch.zeros(OUT, 64, 64)
    upright = turned_normals(np.broadcast_to(normal[:, None, None], (3, 64, 64)), TURN)
    maps[:3] = torch.from_numpy(upright.copy()).float()
    maps[3], maps[4], maps[7] = -3.0, 3 / REACH, -1.0
    start = torch.from_numpy(np.random.default_rng(0).uniform(30, 90, (len(points.index), 3))).float()
    found = seen(Looked(maps, start, np.ones((64, 64), bool), MATRIX), window, points)

    crop = start[:, :2].double().numpy() + (3, 0)
    photo = (crop - MATRIX[:, 2]) @ np.linalg.inv(MATRIX[:, :2]).T
    np.testing.assert_allclose(found.points, 0.5 * (photo + (100, 60)), atol=1e-4)
    np.testing.assert_allclose(found.normals, np.broadcast_to(normal, found.normals.shape), atol=1e-5)
    pixel = 0.5 / 0.8  # a pixel of the crop in the window
    assert found.point_spread == pytest.approx(pixel * np.sqrt(3 * (REACH * np.exp(-1)) ** 2 + 1), rel=1e-4)
    assert found.normal_spread == pytest.approx(np.sqrt(3 * np.exp(-6) + 0.03**2), rel=1e-4)
    of_skin, beside = found.points[:, 0] < 108, found.points[:, 0] > 116
    assert of_skin.sum() > 20 and (found.point_share[of_skin] > 0.9).all() and (found.point_share[beside] < 0.1).all()


def test_the_program_prints_both_stages(monkeypatch, tmp_path, capsys):
    torch.save(DenseNetwork().state_dict(), tmp_path / "network.pt")
    errors = {True: 1.2, False: 1.1}
    monkeypatch.setattr(in_fit, "load_segmenter", lambda name: None)
    monkeypatch.setattr(in_fit, "population_errors", lambda folder, used: np.full((3, 2), errors[used.network is None]))
    known = {"shapes": 4, "auc": 0.9, "eer": 0.2}
    monkeypatch.setattr(in_fit, "photo_identities", lambda folders, used: known)
    assert in_fit.main([str(tmp_path), "--network", str(tmp_path / "network.pt")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("landmarks alone: 3 people, [1.2 1.2] mm; 4 photos, AUC 0.900")
    assert second.startswith("with the observation: 3 people, [1.1 1.1] mm")

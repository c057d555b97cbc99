"""The program's figures: landmarks alone, then with the observation, of the stage or of whole fits."""

import numpy as np
import torch

from facefit.scene.parameters import Parameters
from training.observation import in_fit
from training.observation.network import DenseNetwork


def test_the_program_prints_both(monkeypatch, tmp_path, capsys, default_model):
    torch.save(DenseNetwork().state_dict(), tmp_path / "network.pt")
    used, nobody = [], Parameters.zeros(default_model.sizes)

    def fitter(tools, whole):
        used.append((tools.config.energies, tools.config.weights.dense_normals, whole))
        return lambda path: nobody

    monkeypatch.setattr(in_fit, "load_segmenter", lambda name: None)
    monkeypatch.setattr(in_fit, "fitter", fitter)
    errors = iter((1.2, 1.1))
    monkeypatch.setattr(in_fit, "population_errors", lambda *given: np.full((3, 2), next(errors)))
    known = {"shapes": 4, "auc": 0.9, "eer": 0.2}
    monkeypatch.setattr(in_fit, "photo_identities", lambda *given: known)
    given = [str(tmp_path), "--network", str(tmp_path / "network.pt"), "--normals", "7", "--whole"]
    assert in_fit.main(given) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("landmarks alone: 3 people, [1.2 1.2] mm; 4 photos, AUC 0.900")
    assert second.startswith("with the observation: 3 people, [1.1 1.1] mm")
    assert [("dense" in energies, *rest) for energies, *rest in used] == [(False, 7.0, True), (True, 7.0, True)]


def test_a_trainings_network_answers_as_it_is(tmp_path):
    network = DenseNetwork().eval()
    torch.nn.init.normal_(network.last.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    torch.save(network.state_dict(), tmp_path / "network.pt")
    rng = np.random.default_rng(0)
    given = rng.normal(size=(1, 3, 128, 128)).astype(np.float32), rng.normal(size=(1, 7, 64, 64)).astype(np.float32)
    with torch.no_grad():
        expected = network(*(torch.from_numpy(value) for value in given)).numpy()
    np.testing.assert_array_equal(in_fit.observer(tmp_path / "network.pt").network(*given), expected)

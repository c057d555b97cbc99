"""`facefit eval identity` through files: who is who, neutral shapes, figures that are known."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers.synthetic_result import synthetic_result
from helpers.toy_model import toy_arrays

from facefit.commands import cli
from facefit.evaluate.identity import compare_identities, face_vertices, neutral_shapes
from facefit.metrics.verification import rigid_distances
from facefit.model.model_file import load_model, save_arrays
from facefit.output.read_back import find_fits
from facefit.output.write import write_result


def run(*args, code=0):
    outcome = CliRunner().invoke(cli, ["eval", "identity", *map(str, args)], catch_exceptions=True)
    assert outcome.exit_code == code, (outcome.output, outcome.stderr)
    return outcome.stderr if code else outcome.output


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """Two people, two photos each, whose expressions and poses differ far more than their shapes."""
    root = tmp_path_factory.mktemp("people")
    save_arrays(root / "toy.npz", toy_arrays())
    model = load_model(root / "toy.npz")
    base = synthetic_result(model)
    rng = np.random.default_rng(2)
    for person, identity in (("anna", 1.5), ("bert", -1.5)):
        (root / "fits" / person).mkdir(parents=True)
        for photo in (1, 2):
            values = base.parameters.tensors()
            shape = identity * torch.ones_like(values["identity"]) + 0.05 * photo
            smile = torch.from_numpy(rng.uniform(0, 1, values["expression"].shape)).float()
            turned = values["rotvec"] + 0.2 * photo
            parameters = dataclasses.replace(base.parameters, identity=shape, expression=smile, rotvec=turned)
            result = dataclasses.replace(base, parameters=parameters)
            write_result(result, root / "fits" / person / f"{person}_{photo}.obj", texture_size=16)
    return root


def test_people_in_folders_are_told_apart(fits):
    result = json.loads(run(fits / "fits", "--model", fits / "toy.npz", "--json", "-"))
    assert result["auc"] == 1 and result["eer"] == 0
    assert (result["people"], result["shapes"], result["pairs_within"], result["pairs_between"]) == (2, 4, 2, 4)
    assert result["within"] < 0.2 * result["between"]
    model = load_model(fits / "toy.npz")
    shapes = neutral_shapes(find_fits([fits / "fits"]), model)
    known = rigid_distances(np.concatenate([model.verts.numpy()[face_vertices(model)][None], shapes]))
    assert result["to_mean"] == pytest.approx(known[0, 1:].mean())
    assert result["between"] == pytest.approx(known[1:, 1:][:2, 2:].mean())
    table = run(fits / "fits", "--model", fits / "toy.npz")
    assert "AUC" in table and "1.000" in table and f"{result['to_mean']:.2f}" in table


def test_people_by_pattern_and_by_table(fits, tmp_path):
    arguments = (fits / "fits", "--model", fits / "toy.npz", "--json", "-")
    by_name = json.loads(run(*arguments, "--pattern", "/([a-z]+)_"))
    assert [row["person"] for row in by_name["fits"]] == ["anna", "anna", "bert", "bert"] and by_name["auc"] == 1
    # who is not who: of two photos' numbers, only the farthest of the four other pairs is farther than the two pairs
    assert json.loads(run(*arguments, "--pattern", "_([12])$"))["auc"] == 0.25
    table = tmp_path / "who.csv"
    table.write_text("name,person,other\nanna_1,x,\nanna_2,x,1\nbert_1,y,1\nbert/bert_2,,1\n")
    result = json.loads(run(*arguments, "--people", table))
    assert [row["person"] for row in result["fits"]] == ["x", "x", "y"] and result["without"] == 1
    assert len(json.loads(run(*arguments, "--people", table, "--column", "other"))["fits"]) == 3


def test_wrong_use_is_one_line(fits, tmp_path):
    arguments = (fits / "fits", "--model", fits / "toy.npz")
    assert "regular expression" in run(*arguments, "--pattern", "(", code=2)
    assert "give one" in run(*arguments, "--pattern", "a", "--people", tmp_path / "x.csv", code=2)
    assert "0 of 4 fits" in run(*arguments, "--pattern", "nobody", code=4)
    table = tmp_path / "who.csv"
    table.write_text("name,who\nanna_1,x\n")
    assert "'person'" in run(*arguments, "--people", table, code=4)
    assert "absent.csv" in run(*arguments, "--people", tmp_path / "absent.csv", code=4)
    assert "json" in run(*arguments, "--json", next((fits / "fits").rglob("*.json")), code=2)


def test_the_mean_face_is_where_the_distances_begin():
    rng = np.random.default_rng(3)
    mean = rng.normal(size=(30, 3)) * 20
    away = mean + rng.normal(size=(3, 30, 3))
    figures = compare_identities(away, mean, ["a", "a", "b"])
    assert figures["to_mean"] == pytest.approx(rigid_distances(np.stack([mean, *away]))[0, 1:].mean())
    assert compare_identities(np.stack([mean, mean]), mean, ["a", "b"])["to_mean"] == pytest.approx(0, abs=1e-6)

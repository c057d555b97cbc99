"""The ablation measures what it says: gradients, descents on a toy scene, the search, resuming, and the tables."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.ablation import run as running
from benchmarks.ablation.coverage import SoftSilhouettes
from benchmarks.ablation.fitting import Settings
from benchmarks.ablation.losses import METHODS, NONE, make_loss
from benchmarks.ablation.part_mesh import PartMesh
from benchmarks.ablation.scene import Scene
from benchmarks.ablation.silhouettes import iou_energy
from benchmarks.ablation.starts import STARTS, disturbance
from benchmarks.ablation.table import Outcome, fill, interval, sections
from benchmarks.ablation.table import main as tables
from benchmarks.ablation.tuning import BUDGET, search
from benchmarks.dataset import Case
from facefit.anatomy.parts import LABEL, MASKS, PARTS
from facefit.energies.prdl.select import group_points
from facefit.render import load_renderer

SIZE = 40
NOSE = PARTS.index("nose")
GRID = torch.linspace(-6.0, 6.0, 7)


def disc(x: float, y: float, radius: float = 7.0) -> torch.Tensor:
    """(1, 10, S, S) masks with a round nose."""
    line = torch.arange(SIZE) + 0.5
    masks = torch.zeros(1, len(MASKS), SIZE, SIZE)
    masks[0, NOSE] = ((line[None] - x) ** 2 + (line[:, None] - y) ** 2 < radius**2).float()
    return masks


def scene(middle: torch.Tensor) -> Scene:
    """A square nose of 7 x 7 points and 72 triangles at `middle` (2,), pixels."""
    y, x = torch.meshgrid(GRID, GRID, indexing="ij")
    pixels = (torch.stack([x, y], -1).reshape(-1, 2) + middle)[None]
    label = torch.full((49,), LABEL["nose"])
    selection = group_points(torch.ones(1, 49, dtype=torch.bool), label, pixels, None)
    a = (torch.arange(6)[:, None] * 7 + torch.arange(6)).reshape(-1)
    triangles = torch.cat([torch.stack([a, a + 1, a + 7], 1), torch.stack([a + 1, a + 8, a + 7], 1)])
    mesh = PartMesh(None, triangles, torch.full((72,), NOSE))
    one = torch.ones_like(pixels[..., :1])
    clip = torch.cat([2 * pixels[..., :1] / SIZE - 1, 1 - 2 * pixels[..., 1:] / SIZE, 0 * one, one], -1)
    return Scene(pixels, selection, pixels, clip, mesh, torch.ones(1, 72, dtype=torch.bool), SIZE)


@pytest.mark.parametrize("name", METHODS)
def test_every_loss_brings_a_shifted_part_home(name):
    loss = make_loss(name, load_renderer("cpu"))
    reach = 16.0 if name == "dcd" else 1.0  # in so small a window its own reach is one pixel
    targets = loss.targets(SimpleNamespace(part_masks=disc(22.0, 19.0)))
    middle = torch.tensor([18.5, 21.7], requires_grad=True)
    first = loss(scene(middle), targets, reach)
    assert first.shape == (1, 8) and first[0, NOSE] > 0
    assert (first[0, :NOSE] == 0).all(), "an empty mask counts 0"
    mean, square = torch.zeros(2), torch.zeros(2)  # Adam by hand: torch's optimisers take a second to be loaded
    for step in range(1, 41):
        energy = loss(scene(middle), targets, reach)[0, NOSE]
        (slope,) = torch.autograd.grad(energy, middle)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        size = (square / (1 - 0.999**step)).sqrt() + 1e-8
        with torch.no_grad():
            middle -= 0.3 * 0.9 ** max(0, step - 26) * mean / (1 - 0.9**step) / size
    assert energy < first[0, NOSE]
    torch.testing.assert_close(middle.detach(), torch.tensor([22.0, 19.0]), atol=1.2, rtol=0)


@pytest.mark.parametrize("soft", [True, False])
def test_coverage_has_the_gradient_of_its_own_value(soft):
    generator = torch.Generator().manual_seed(1)
    corners = (torch.rand(6, 2, generator=generator) * 12 + 4).double().requires_grad_(True)
    triangles = np.array([[0, 1, 2], [2, 3, 1], [3, 4, 5]])
    weight = torch.rand(2, 20, 20, generator=generator).double()

    def value(points: torch.Tensor) -> torch.Tensor:
        drawn = SoftSilhouettes.apply(points, triangles, np.array([0, 0, 1]), np.ones(3, bool), 2, 20, 1.7, soft)
        return (drawn * weight).sum()

    (gradient,) = torch.autograd.grad(value(corners), corners)
    step = 1e-5
    for index in np.ndindex(6, 2):
        moved = torch.zeros_like(corners)
        moved[index] = step
        slope = (value(corners + moved) - value(corners - moved)) / (2 * step)
        # pixels at the edge of reach come and go: D is 1e-4 there
        assert gradient[index].item() == pytest.approx(slope.item(), abs=5e-3), index


def test_coverage_of_one_triangle_by_the_formula():
    corners = torch.tensor([[2.0, 2.0], [14.0, 2.0], [2.0, 14.0]]).double()
    arguments = (np.array([[0, 1, 2]]), np.array([0]), np.ones(1, bool), 1, 16, 2.0)
    soft = SoftSilhouettes.apply(corners, *arguments, True)[0]
    assert soft[4, 1].item() == pytest.approx(1 / (1 + np.exp(0.5**2 / 2)))  # half a pixel to the left of the edge
    assert soft[4, 2].item() == pytest.approx(1 / (1 + np.exp(-(0.5**2) / 2)))  # and to the right
    hard = SoftSilhouettes.apply(corners, *arguments, False)[0]
    assert hard[4, 2].item() == 1.0 and hard[4, 1].item() == pytest.approx(np.exp(-(0.5**2) / 2))
    assert soft[15, 15].item() == 0.0


def test_iou_energy():
    masks = torch.zeros(3, 4, 4)
    masks[0, :2] = masks[1, :2] = 1
    drawn = torch.zeros(3, 4, 4)
    drawn[0, :2], drawn[1, 1:3], drawn[2] = 1, 1, 1
    torch.testing.assert_close(iou_energy(drawn, masks), torch.tensor([0.0, 2 / 3, 0.0]))


def test_starts_depend_on_face_and_seed_alone_and_have_the_size_they_say():
    far = STARTS[-1]
    turn, shift = disturbance(far, "a/b", 3)
    assert np.degrees(np.linalg.norm(turn)) == pytest.approx(20.0) and np.linalg.norm(shift) == pytest.approx(0.1)
    again = disturbance(far, "a/b", 3)
    assert (again[0] == turn).all() and (again[1] == shift).all()
    assert not np.allclose(disturbance(far, "a/b", 4)[0], turn) and not np.allclose(disturbance(far, "a/c", 3)[0], turn)
    assert not np.any(disturbance(STARTS[0], "a/b", 3)[0])


def test_search_climbs_to_the_best_and_keeps_to_its_budget():
    calls = []

    def value(settings: Settings) -> float:
        calls.append(settings)
        return -abs(np.log2(settings.step / 32)) - abs(np.log2(settings.weight * 4)) - abs(np.log2(settings.scale / 4))

    best, found = search("softras", value)
    assert best == Settings(step=32.0, weight=0.25, scale=4.0) and found == 0.0
    assert len(calls) == len(set(calls)) <= BUDGET
    calls.clear()
    best, _ = search("prdl", value)
    assert best.scale == 1.0, "PRDL has no reach to be searched"
    calls.clear()
    search("softras", value, budget=3)
    assert len(calls) == 3


@pytest.fixture
def no_fits(monkeypatch, tmp_path):
    """A run whose fits are looked up, not done; the list of what was asked."""
    asked = []
    photos = [Case("wild", f"p{n}", None, "wild") for n in range(8)]

    def fit(method, settings, cases, start, scans):
        asked.extend((method, case.name, start) for case in cases)
        good = {NONE: 0.4}.get(method, 0.6 + 0.01 * np.log2(settings.step))
        rows = {"method": method, "start": start, **vars(settings), "seconds": 0.1, "iou": good, "landmark_error": 0.02}
        return [{**rows, "face": f"{case.set}/{case.name}"} for case in cases]

    monkeypatch.setattr(running, "split", lambda data, limit: {"tuning": photos[:2], "results": photos[2:]})
    monkeypatch.setattr(running, "_begin", lambda *_: None)
    monkeypatch.setattr(running, "_do", fit)
    return asked


def test_a_run_goes_on_where_it_stopped(no_fits, tmp_path):
    results = running.run(tmp_path, tmp_path / "out", ["chamfer"], 1, 0)
    every = {(row["method"], row["face"], row["start"]) for row in running.read_lines(results)}
    assert len(every) == 2 * 6 * len(STARTS) == len(running.read_lines(results))
    first = len(no_fits)
    running.run(tmp_path, tmp_path / "out", ["chamfer"], 1, 0)
    assert len(no_fits) == first, "nothing is done twice"

    whole = results.read_text()
    results.write_text(whole[:-30])  # killed while it wrote
    running.run(tmp_path, tmp_path / "out", ["chamfer"], 1, 0)
    assert len(no_fits) == first + 1
    again = running.read_lines(results)
    assert {(row["method"], row["face"], row["start"]) for row in again} == every and len(again) == len(every)


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a"\n{"a": 2}\n')
    with pytest.raises(ValueError, match="line 2"):
        running.read_lines(path)


@pytest.mark.parametrize("arguments", [["--methods", "prdl,nothing"], ["/nowhere"]])
def test_wrong_usage_is_refused(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        running.main([*arguments, "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert "nothing" in capsys.readouterr().err or arguments == ["/nowhere"]


def lines() -> list[dict]:
    """Two methods and the start, four faces, three starts; PRDL is better by 0.1 near and by 0.2 far."""
    rows = []
    for number, face in enumerate(("fasseg/a", "fasseg/b", "ict_synthetic/c", "wild/d")):
        for start, far in (("near", 0.0), ("half", 0.1), ("far", 0.2)):
            for method, iou in (("prdl", 0.8 - far / 2), ("chamfer", 0.7 - far), ("none", 0.3)):
                row = {"method": method, "face": face, "start": start, "step": 8.0, "weight": 1.0, "scale": 1.0,
                       "seconds": 0.25, "iou": iou + 0.01 * number, "landmark_error": 0.03,
                       "parts": {name: iou for name in PARTS}}  # fmt: skip
                rows.append(row | ({"scan_error": 1.25} if face.startswith("ict") else {}))
    return rows


def outcome(rows: list[dict]) -> Outcome:
    values = {Settings(): 0.65, Settings(step=8.0): 0.71}
    tried = [{"method": "prdl", **vars(settings), "iou": iou} for settings, iou in values.items()]
    return Outcome({"seed": 5, "machine": "a machine", "date": "2020-02-02", "command": "python -m x"}, rows, tried)


def test_tables_from_lines_by_hand():
    parts = sections(outcome(lines()))
    first, second, last = parts["losses"].splitlines()[2:]
    assert first.startswith("| PRDL min + max + mean | .815 [") and "| 100 % | 3.00 % | 3.00 % | 1.25 mm |" in first
    assert second.startswith("| Chamfer, squared | .715 [")
    assert "| -.100 [-.100, -.100] | -.200 [-.200, -.200] |" in second, "the difference is face by face"
    assert last.startswith("| the start itself | .315 [") and "| 0 % |" in last
    assert "4 faces (2 fasseg, 1 ict_synthetic, 1 wild), 36 fits" in parts["about"] and "Seed 5" in parts["about"]
    assert "| PRDL min + max + mean | .805 | .705 | .820 | .720 | .830 | .730 |" in parts["sets"]
    assert "| PRDL min + max + mean | x 8 | 3 |  | 2 | .650 | .710 |" in parts["settings"]
    assert "| Chamfer, squared | .700 |" in parts["parts"]


def test_a_face_that_not_all_have_fitted_is_left_out():
    rows = [row for row in lines() if (row["face"], row["method"], row["start"]) != ("wild/d", "chamfer", "far")]
    assert outcome(rows).complete().faces == ["fasseg/a", "fasseg/b", "ict_synthetic/c"]
    assert "3 faces" in sections(outcome(rows))["about"]
    between = [row for row in lines() if (row["face"], row["method"], row["start"]) != ("wild/d", "chamfer", "half")]
    assert {start.name for start in outcome(between).complete().starts} == {"near", "far"}
    assert "half" not in sections(outcome(between))["losses"] and "half" in sections(outcome(lines()))["losses"]
    assert "No face" in sections(outcome([]))["about"]


def test_variants_have_a_line_each_once_they_are_complete():
    rows = [
        {"variant": name, "face": face, "start": start, "iou": iou + (start == "near") / 10}
        for name, iou in (("plain", 0.6), ("no_skin", 0.5)) for face in "ab" for start in ("near", "far")
    ]  # fmt: skip
    assert sections(outcome(lines())).keys().isdisjoint({"variants"})
    table = sections(replace(outcome(lines()), variants=tuple(rows)))["variants"].splitlines()
    assert table[2:] == ["| PRDL as tuned, 112 x 112 anchors | .700 | .600 |", "| without the skin | .600 | .500 |"]
    table = sections(replace(outcome(lines()), variants=tuple(rows[:-1])))["variants"].splitlines()
    assert len(table) == 3


def test_interval_holds_the_mean_and_shrinks_with_the_faces():
    values = np.random.default_rng(2).normal(0.5, 0.1, 400)
    few, many = interval(values[:25], 1), interval(values, 1)
    assert many[0] < values.mean() < many[1]
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * 0.1 / 20, rel=0.15)
    assert few[1] - few[0] > 2.5 * (many[1] - many[0])


def test_tables_go_between_the_markers_and_nowhere_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n<!-- ablation: losses -->\nold\n<!-- end -->\nrest\n<!-- ablation: about -->\n<!-- end -->\n"
    )
    (tmp_path / "record.json").write_text(json.dumps(outcome([]).record))
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines()))
    assert tables([str(tmp_path), "--doc", str(page)]) == 0
    once = page.read_text()
    assert once.startswith("# Title\n<!-- ablation: losses -->\n| method |") and "\n<!-- end -->\nrest\n" in once
    assert "old" not in once and "4 faces" in once
    tables([str(tmp_path), "--doc", str(page)])
    assert page.read_text() == once
    with pytest.raises(ValueError, match="marker"):
        fill("nothing here", {"losses": "x"})

import math

import numpy as np
import pytest
import torch

from facefit.anatomy.parts import PARTS
from facefit.energies.prdl.chunked import PrdlChunked
from facefit.energies.prdl.contract import STATISTICS, PrdlSelection
from facefit.energies.prdl.mask_distance import mask_extremes, mask_means
from facefit.energies.prdl.prdl import prdl_energy, prdl_energy_naive, prdl_part_energies
from facefit.energies.prdl.select import group_points, select_points
from facefit.energies.prdl.targets import prdl_targets

# Middle x, y and half axes, as parts of the side, of a face's parts.
ELLIPSES = {
    "left_eye": (0.65, 0.42, 0.06, 0.027),
    "right_eye": (0.35, 0.42, 0.06, 0.027),
    "left_brow": (0.66, 0.35, 0.09, 0.022),
    "right_brow": (0.34, 0.35, 0.09, 0.022),
    "upper_lip": (0.5, 0.71, 0.115, 0.027),
    "lower_lip": (0.5, 0.77, 0.105, 0.036),
    "nose": (0.5, 0.56, 0.08, 0.12),
    "skin": (0.5, 0.58, 0.31, 0.36),
}
# A sixth of a real face's points: the reference takes seconds otherwise (benchmarks/bench_prdl.py has all of them).
COUNTS = dict(zip(PARTS, (40, 40, 30, 30, 40, 40, 80, 300), strict=True))


@pytest.fixture(autouse=True)
def one_thread():
    """Thousands of tiny operations: torch's threads would spend the time waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def masks(size=224, batch=1):
    centre = torch.arange(size) + 0.5
    y, x = torch.meshgrid(centre / size, centre / size, indexing="ij")
    out = torch.stack([((x - a) / c) ** 2 + ((y - b) / d) ** 2 < 1 for a, b, c, d in (ELLIPSES[p] for p in PARTS)])
    out[-1] &= ~out[:-1].any(0)
    return out.float().expand(batch, -1, -1, -1).clone()


def points(size=224, counts=COUNTS, seed=0, shift=2.0, dtype=torch.float32):
    """One face whose parts are off by a few pixels and stretched by a tenth. (1, N, 2) and its selection."""
    rng = np.random.default_rng(seed)
    found = []
    for part in PARTS:
        a, b, c, d = ELLIPSES[part]
        unit = rng.uniform(-1, 1, (10 * counts[part] + 10, 2))
        unit = unit[(unit**2).sum(1) < 1][: counts[part]]
        found.append(size * (unit * (1.1 * c, d / 1.1) + (a, b)) + shift * rng.normal(size=2))
    offset = np.cumsum([0, *map(len, found)])
    pixels = torch.tensor(np.concatenate(found), dtype=dtype)[None]
    return pixels, selection(offset, 1)


def selection(offset, batch):
    count = int(offset[-1]) // batch
    index = torch.arange(batch * count)
    return PrdlSelection(index // count, index % count, torch.as_tensor(offset))


def of_part(part, places, dtype=torch.float64):
    """A face that has one part only."""
    pixels = torch.as_tensor(places, dtype=dtype)[None]
    number = PARTS.index(part)
    return pixels, selection([0] * (number + 1) + [pixels.shape[1]] * (len(PARTS) - number), 1)


def energy_and_gradient(function, pixels, *arguments, **keywords):
    pixels = pixels.detach().clone().requires_grad_(True)
    energy = function(pixels, *arguments, **keywords)
    return energy.detach(), torch.autograd.grad(energy.sum(), pixels)[0]


def chunked(pixels, selection, targets, weights=None, statistics=STATISTICS, huber=math.inf):
    """What devices other than the CPU run."""
    flags = tuple(name in statistics for name in STATISTICS)
    parts = PrdlChunked.apply(selection.points(pixels), selection.offset, targets, flags, huber)
    return parts.reshape(-1, len(PARTS)).sum(1)


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), 0).item()


# --- the energy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [prdl_energy_naive, chunked])
def test_point_against_point_by_hand(function):
    mask = torch.zeros(1, 8, 3, 3)
    mask[0, PARTS.index("nose"), 1, 1] = 1
    targets = prdl_targets(mask)
    pixels, chosen = of_part("nose", [[3.0, 2.0]])
    anchors = [(x + 0.5, y + 0.5) for y in range(3) for x in range(3)]
    off = [((3.0 - x) ** 2 + (2.0 - y) ** 2) ** 0.5 - ((1.5 - x) ** 2 + (1.5 - y) ** 2) ** 0.5 for x, y in anchors]
    # with one point on either side the three statistics are one
    one = sum(d * d for d in off) / 9
    assert function(pixels, chosen, targets, statistics=("min",)).item() == pytest.approx(one, rel=1e-5)
    assert function(pixels, chosen, targets).item() == pytest.approx(3 * one, rel=1e-5)
    # eq. 11: 2 (v - a) (1 - d* / d), here summed over anchors
    slope = sum(
        2 * o * (3.0 - x) / ((3.0 - x) ** 2 + (2.0 - y) ** 2) ** 0.5 for o, (x, y) in zip(off, anchors, strict=True)
    )
    _, grad = energy_and_gradient(function, pixels, chosen, targets, statistics=("max",))
    assert grad[0, 0, 0].item() == pytest.approx(slope / 9, rel=1e-5)


def test_statistics_by_hand():
    """Two target pixels and two points, seen from one anchor."""
    mask = torch.zeros(1, 8, 1, 1)
    mask[0, 0] = 1  # distance 0 from the only anchor
    targets = prdl_targets(mask)
    pixels, chosen = of_part("left_eye", [[0.5, 2.5], [4.5, 0.5]])
    for name, squared in (("min", 4.0), ("max", 16.0), ("mean", 9.0)):
        for function in (prdl_energy_naive, chunked, prdl_energy):
            assert function(pixels, chosen, targets, statistics=(name,)).item() == pytest.approx(squared)


@pytest.mark.parametrize("function", [prdl_energy, prdl_energy_naive, chunked])
def test_differences_count_linearly_beyond_the_threshold(function):
    """Two target pixels and two points, seen from one anchor: differences of 2 (min), 4 (max) and 3 (mean) pixels."""
    mask = torch.zeros(1, 8, 1, 1)
    mask[0, 0] = 1
    targets = prdl_targets(mask)
    pixels, chosen = of_part("left_eye", [[0.5, 2.5], [4.5, 0.5]])
    for name, off in (("min", 2), ("max", 4), ("mean", 3)):
        energy, grad = energy_and_gradient(function, pixels, chosen, targets, statistics=(name,), huber=1.5)
        assert energy.item() == pytest.approx(2 * 1.5 * off - 1.5**2)
        # all points away together: the sum of their pulls is 2 huber times the change of the distance
        _, squares = energy_and_gradient(function, pixels, chosen, targets, statistics=(name,))
        torch.testing.assert_close(grad, squares * 1.5 / off)
        same = function(pixels, chosen, targets, statistics=(name,), huber=5.0)
        assert same.item() == pytest.approx(off * off)  # within the threshold: squares


def test_fast_gradient_is_that_of_the_full_grid_with_linear_tails():
    size = 150
    targets = prdl_targets(masks(size))
    pixels, chosen = points(size, shift=size / 100)
    slow, slow_grad = energy_and_gradient(prdl_energy_naive, pixels, chosen, targets, huber=1.0)
    fast, fast_grad = energy_and_gradient(prdl_energy, pixels, chosen, targets, huber=1.0)
    twin, twin_grad = energy_and_gradient(chunked, pixels, chosen, targets, huber=1.0)
    assert fast.item() == pytest.approx(slow.item(), rel=0.01)
    assert cosine(fast_grad, slow_grad) > 0.997
    assert twin.item() == pytest.approx(slow.item(), rel=1e-4)
    assert cosine(twin_grad, slow_grad) > 0.9999


@pytest.mark.parametrize(("size", "fewer"), [(224, 3), (130, 1)])
def test_fast_gradient_is_that_of_the_full_grid(size, fewer):
    targets = prdl_targets(masks(size))
    pixels, chosen = points(size, {part: count // fewer for part, count in COUNTS.items()}, shift=size / 100)
    slow, slow_grad = energy_and_gradient(prdl_energy_naive, pixels, chosen, targets)
    fast, fast_grad = energy_and_gradient(prdl_energy, pixels, chosen, targets)
    assert fast.item() == pytest.approx(slow.item(), rel=0.01)
    assert cosine(fast_grad, slow_grad) > 0.999
    assert (fast_grad.norm() / slow_grad.norm()).item() == pytest.approx(1, abs=0.01)
    for part in range(len(PARTS)):
        mine = slice(int(chosen.offset[part]), int(chosen.offset[part + 1]))
        assert cosine(fast_grad[0, mine], slow_grad[0, mine]) > 0.998, PARTS[part]


@pytest.mark.parametrize("name", STATISTICS)
def test_each_statistic_of_the_fast_form(name):
    targets = prdl_targets(masks(150))
    pixels, chosen = points(150, seed=2, shift=4.0)
    slow, slow_grad = energy_and_gradient(chunked, pixels, chosen, targets, statistics=(name,))
    fast, fast_grad = energy_and_gradient(prdl_energy, pixels, chosen, targets, statistics=(name,))
    assert fast.item() == pytest.approx(slow.item(), rel=0.01)
    assert cosine(fast_grad, slow_grad) > 0.998


def test_chunks_equal_the_definition(monkeypatch):
    monkeypatch.setattr(PrdlChunked, "CHUNK", 5000)
    targets = prdl_targets(masks(40))
    pixels, chosen = points(40, dict.fromkeys(PARTS, 30), dtype=torch.float64)
    slow, slow_grad = energy_and_gradient(prdl_energy_naive, pixels, chosen, targets)
    fast, fast_grad = energy_and_gradient(chunked, pixels, chosen, targets)
    torch.testing.assert_close(fast, slow)
    torch.testing.assert_close(fast_grad, slow_grad)


@pytest.mark.parametrize("function", [prdl_energy, prdl_energy_naive, chunked])
@pytest.mark.parametrize("statistics", [("min",), ("max",), ("mean",), STATISTICS])
def test_gradcheck(function, statistics):
    targets = prdl_targets(masks(40))
    few = {**dict.fromkeys(PARTS, 0), "left_brow": 1, "nose": 4, "skin": 5}
    pixels, chosen = points(40, few, seed=3, shift=1.0, dtype=torch.float64)
    weights = torch.linspace(0.5, 2.0, 8, dtype=torch.float64)
    arguments = () if function is chunked else (weights,)

    def energy(x):
        return function(x, chosen, targets, *arguments, statistics=statistics)

    assert torch.autograd.gradcheck(energy, pixels.requires_grad_(True), eps=1e-7, atol=1e-4)


@pytest.mark.parametrize("function", [prdl_energy, prdl_energy_naive, chunked])
def test_points_equal_to_the_target_rest(function):
    mask = masks(70)
    targets = prdl_targets(mask, skin_points=None)
    rows = [m.nonzero().flip(1) + 0.5 for m in mask[0]]
    offset = np.cumsum([0, *map(len, rows)])
    energy, grad = energy_and_gradient(function, torch.cat(rows)[None], selection(offset, 1), targets)
    assert energy.item() == pytest.approx(0.0, abs=1e-9)
    assert grad.abs().max().item() == pytest.approx(0.0, abs=1e-6)


def test_descent_moves_a_shifted_face_back():
    mask = masks()
    targets = prdl_targets(mask)
    true, chosen = points(shift=0.0, counts=dict.fromkeys(PARTS, 200))
    for shift in ([25.0, 0.0], [-3.0, 9.0]):
        shift = torch.tensor(shift)
        _, grad = energy_and_gradient(prdl_energy, true + shift, chosen, targets)
        for part in range(len(PARTS)):
            pull = -grad[0, chosen.offset[part] : chosen.offset[part + 1]].sum(0)
            assert cosine(pull, -shift) > 0.95, PARTS[part]


@pytest.mark.parametrize("function", [prdl_energy, prdl_energy_naive, chunked])
def test_empty_parts_count_nothing(function):
    mask = masks(60)
    mask[0, PARTS.index("left_eye")] = 0  # closed: no target
    targets = prdl_targets(mask)
    pixels, chosen = points(60, {**dict.fromkeys(PARTS, 10), "nose": 0})  # hidden: no prediction
    energy, grad = energy_and_gradient(function, pixels, chosen, targets)
    assert torch.isfinite(energy).all() and energy.item() > 0
    eye = slice(int(chosen.offset[0]), int(chosen.offset[1]))
    assert (grad[0, eye] == 0).all() and (grad[0, eye.stop :] != 0).any()
    parts = prdl_part_energies(pixels, chosen, targets)[0]
    assert parts[0] == 0 and parts[PARTS.index("nose")] == 0 and (parts[1:6] > 0).all()


def test_nothing_at_all():
    targets = prdl_targets(torch.zeros(2, 8, 30, 30))
    empty = PrdlSelection(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), torch.zeros(17).long())
    energy, grad = energy_and_gradient(prdl_energy, torch.zeros(2, 5, 2), empty, targets)
    assert energy.tolist() == [0.0, 0.0] and (grad == 0).all()


def test_weights_of_parts():
    targets = prdl_targets(masks(60, 2))
    pixels, _ = points(60, dict.fromkeys(PARTS, 10))
    pixels = torch.cat([pixels, pixels + 3])
    chosen = selection(torch.arange(17) * 10, 2)
    parts = prdl_part_energies(pixels, chosen, targets)
    weights = torch.rand(2, 8, generator=torch.Generator().manual_seed(0))
    for function in (prdl_energy, prdl_energy_naive):
        torch.testing.assert_close(
            function(pixels, chosen, targets, weights), (parts * weights).sum(1), rtol=0.02, atol=0
        )
        alone = function(pixels, chosen, targets, torch.eye(8)[3])
        torch.testing.assert_close(alone, parts[:, 3], rtol=0.02, atol=0)
    _, grad = energy_and_gradient(prdl_energy, pixels, chosen, targets, torch.eye(8)[3])
    assert (grad[:, 30:40] != 0).any() and (grad[:, :30] == 0).all() and (grad[:, 40:] == 0).all()


def test_order_of_points_does_not_matter():
    targets = prdl_targets(masks())
    pixels, chosen = points(dtype=torch.float64)  # in single precision sums in another order differ by .4 %
    generator = torch.Generator().manual_seed(0)
    energy, grad = energy_and_gradient(prdl_energy, pixels, chosen, targets)
    order = torch.cat(
        [
            torch.randperm(int(b - a), generator=generator) + a
            for a, b in zip(chosen.offset[:-1], chosen.offset[1:], strict=True)
        ]
    )
    shuffled = PrdlSelection(chosen.face, chosen.vertex[order], chosen.offset)
    other, other_grad = energy_and_gradient(prdl_energy, pixels, shuffled, targets)
    torch.testing.assert_close(other, energy)
    torch.testing.assert_close(other_grad, grad, rtol=1e-3, atol=1e-5)


def test_faces_of_a_batch_are_independent():
    mask = torch.cat([masks(80), masks(80).roll(4, -1), masks(80)])
    mask[2, 0] = 0
    faces = [points(80, {**COUNTS, "skin": 200 + 50 * seed}, seed)[0] for seed in range(3)]
    count = max(f.shape[1] for f in faces)
    pixels = torch.zeros(3, count, 2)
    vertex, face, offset = [], [], [0]
    for number, found in enumerate(faces):
        pixels[number, : found.shape[1]] = found[0]
        _, own = points(80, {**COUNTS, "skin": 200 + 50 * number}, number)
        vertex.append(own.vertex)
        face.append(torch.full_like(own.vertex, number))
        offset.extend((own.offset[1:] + offset[-1]).tolist())
    together = PrdlSelection(torch.cat(face), torch.cat(vertex), torch.tensor(offset))
    energy, grad = energy_and_gradient(prdl_energy, pixels, together, prdl_targets(mask))
    for number, found in enumerate(faces):
        _, own = points(80, {**COUNTS, "skin": 200 + 50 * number}, number)
        alone, alone_grad = energy_and_gradient(prdl_energy, found, own, prdl_targets(mask[number : number + 1]))
        assert torch.equal(alone[0], energy[number])
        assert torch.equal(alone_grad[0], grad[number, : found.shape[1]])
        assert torch.equal(prdl_energy(found, own, prdl_targets(mask)[number])[0], energy[number])


def test_threads_do_not_change_the_result():
    targets = prdl_targets(masks())
    pixels, chosen = points()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(energy_and_gradient(prdl_energy, pixels, chosen, targets))
    for energy, grad in results[1:]:
        assert torch.equal(energy, results[0][0]) and torch.equal(grad, results[0][1])


def test_a_point_that_is_not_finite_shows_in_its_part_only():
    targets = prdl_targets(masks(60))
    pixels, chosen = points(60, dict.fromkeys(PARTS, 10))
    pixels[0, 15] = torch.nan
    parts = prdl_part_energies(pixels, chosen, targets)[0]
    assert torch.isnan(parts[1]) and torch.isfinite(parts[[0, 2, 3, 4, 5, 6, 7]]).all()
    assert torch.isnan(prdl_energy(pixels, chosen, targets)).all()


def test_points_far_outside_the_window_and_in_one_place():
    targets = prdl_targets(masks(60))
    for places in ([[-500.0, 900.0], [-501.0, 900.0]], [[20.0, 20.0]] * 5, [[10.0, 10.0], [50.0, 50.0], [30.0, 30.0]]):
        pixels, chosen = of_part("nose", places)
        slow, slow_grad = energy_and_gradient(prdl_energy_naive, pixels, chosen, targets)
        fast, fast_grad = energy_and_gradient(prdl_energy, pixels, chosen, targets)
        assert fast.item() == pytest.approx(slow.item(), rel=0.01)
        if len(set(map(tuple, places))) == 1:  # copies share what one of them gets
            fast_grad, slow_grad = fast_grad.sum(1), slow_grad.sum(1)
        assert cosine(fast_grad, slow_grad) > 0.999


def test_errors():
    targets = prdl_targets(masks(30))
    pixels, chosen = points(30, dict.fromkeys(PARTS, 3))
    with pytest.raises(ValueError, match="median.*accepted"):
        prdl_energy(pixels, chosen, targets, statistics=("median",))
    with pytest.raises(ValueError, match="statistics"):
        prdl_energy(pixels, chosen, targets, statistics=())
    with pytest.raises(ValueError, match="huber is 0.*accepted"):
        prdl_energy(pixels, chosen, targets, huber=0.0)
    with pytest.raises(ValueError, match="pixels"):
        prdl_energy(pixels[0], chosen, targets)
    with pytest.raises(ValueError, match="2 faces"):
        prdl_energy(pixels.expand(2, -1, -1), chosen, targets)
    with pytest.raises(ValueError, match="part_masks"):
        prdl_targets(torch.zeros(1, 7, 30, 30))
    with pytest.raises(ValueError, match="part_masks"):
        prdl_targets(torch.zeros(1, 8, 30, 20))


# --- targets ----------------------------------------------------------------------------------------------------------


def test_mask_distances_are_exact():
    rng = np.random.default_rng(0)
    shapes = np.stack([rng.random((23, 23)) < share for share in (0.002, 0.02, 0.3, 1.0, 0.0)])
    shapes[0, 5, 7] = True
    least, greatest = mask_extremes(shapes)
    mean = mask_means(torch.from_numpy(shapes)).numpy()
    grid = np.stack(np.meshgrid(np.arange(23), np.arange(23), indexing="ij"), -1)
    for k, mask in enumerate(shapes[:-1]):
        distance = np.linalg.norm(grid[:, :, None] - np.argwhere(mask), axis=-1)
        np.testing.assert_allclose(least[k], distance.min(-1), atol=1e-5)
        np.testing.assert_allclose(greatest[k], distance.max(-1), atol=1e-5)
        np.testing.assert_allclose(mean[k], distance.mean(-1), atol=1e-4)
    assert (least[-1] == 0).all() and (greatest[-1] == 0).all() and (mean[-1] == 0).all()


def test_targets_thin_the_skin():
    targets = prdl_targets(masks(100), skin_points=500)
    assert targets.count[0, -1] == 500
    assert prdl_targets(masks(100), skin_points=None).count[0, -1] > 2000
    # half a pixel of mask is no pixel
    assert prdl_targets(masks(100) * 0.5).count.sum() == 0


# --- which points -----------------------------------------------------------------------------------------------------


def test_from_model_to_energy(toy_model):
    """The pieces together: a face against its own masks has a small energy, and a moved one a larger."""
    mask = masks(224)
    pixels = 112 + torch.stack([toy_model.verts[:, 0], -toy_model.verts[:, 1]], -1)[None]
    brow = torch.tensor([[[0.0, -1.0, 60.0]] * 2])
    visible = torch.ones(1, pixels.shape[1], dtype=torch.bool)
    targets = prdl_targets(mask)
    keep = select_points(toy_model.vertex_label, pixels, visible, brow, torch.zeros(1, 224, 224))
    chosen = group_points(keep, toy_model.vertex_label, pixels)
    assert (chosen.count > 0).all()
    near, grad = energy_and_gradient(prdl_energy, pixels, chosen, targets)
    assert (grad[~keep] == 0).all() and (grad[keep] != 0).any()
    assert prdl_energy(pixels + 20, chosen, targets).item() > near.item()

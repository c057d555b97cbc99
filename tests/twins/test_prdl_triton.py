"""PRDL's GPU kernels: on a stand-in for Triton everywhere, compiled where there is a GPU."""

import time

import numpy as np
import pytest
import torch
from helpers.triton_stand_in import stand_in

from facefit.anatomy.parts import LABEL, PARTS
from facefit.energies.prdl.chunked import PrdlChunked
from facefit.energies.prdl.contract import STATISTICS, PrdlSelection
from facefit.energies.prdl.prdl import prdl_energy_naive, prdl_part_energies
from facefit.energies.prdl.rows import PrdlRows, group_rows
from facefit.energies.prdl.select import group_points, part_of_label
from facefit.energies.prdl.targets import prdl_targets
from facefit.energies.prdl.targets_device import device_targets
from facefit.scene.part_points import thin_evenly

FLAGS = {"min": (True, False, False), "max": (False, True, False), "mean": (False, False, True), "all": (True,) * 3}


def scene(size=40, batch=2, most=60, seed=0):
    """Masks (B, 8, S, S), points (B, P, 2) around them sorted by place within each part, and the rows of their parts.
    Some parts have no points, some no mask, and some points belong to no part."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size] + 0.5
    masks, faces, bounds = np.zeros((batch, len(PARTS), size, size), np.float32), [], []
    for face in range(batch):
        points, bound = [np.zeros((0, 2))], [0]
        for part in range(len(PARTS)):
            centre, radius = rng.uniform(0.2 * size, 0.8 * size, 2), rng.uniform(2, size / 4)
            if (face, part) != (batch - 1, 3):
                masks[face, part] = (column - centre[0]) ** 2 + (row - centre[1]) ** 2 < radius**2
            count = 0 if (face, part) == (0, 2) else int(rng.integers(1, most))
            at = centre + rng.normal(0, 2, 2) + rng.uniform(-radius, radius, (count, 2))
            points.append(at[np.lexsort((at[:, 0] // 8, at[:, 1] // 8))])
            bound.append(bound[-1] + count)
        points.append(rng.uniform(0, size, (8 * most - bound[-1], 2)))
        faces.append(np.concatenate(points))
        bounds.append(bound)
    pixels = torch.from_numpy(np.stack(faces)).float()
    order = torch.arange(pixels.shape[1]).expand(batch, -1)
    return torch.from_numpy(masks), pixels, PrdlRows(order, torch.tensor(bounds, dtype=torch.int32))


def flat(rows: PrdlRows) -> PrdlSelection:
    face, vertex, counts = [], [], [0]
    for b, bound in enumerate(rows.bound.tolist()):
        for first, last in zip(bound[:-1], bound[1:], strict=True):
            vertex.append(rows.vertex[b, first:last])
            face.append(torch.full_like(vertex[-1], b))
            counts.append(last - first)
    return PrdlSelection(torch.cat(face), torch.cat(vertex), torch.tensor(counts).cumsum(0))


def descend(energies, pixels, *arguments):
    """Energies (B, 8) and their gradient, each part with a weight of its own."""
    leaf = pixels.clone().requires_grad_(True)
    parts = energies(leaf, *arguments)
    weight = torch.linspace(0.5, 1.5, parts.numel(), device=parts.device).reshape(parts.shape)
    (parts * weight).sum().backward()
    return parts.detach(), leaf.grad


def chunked(pixels, selection, targets, flags):
    return PrdlChunked.apply(selection.points(pixels), selection.offset, targets, flags).reshape(len(pixels), -1)


def fused(pixels, rows, targets, flags):
    return prdl_part_energies(pixels, rows, targets, [n for n, f in zip(STATISTICS, flags, strict=True) if f])


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(a.double().flatten(), b.double().flatten(), 0).item()


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("size", [40, 33])
def test_the_kernels_equal_their_twin(flags, size):
    """min and max exactly; the mean as the CPU's quadrature, which is close to the definition."""
    masks, pixels, rows = scene(size)
    targets, selection = prdl_targets(masks, None), flat(rows)
    with stand_in():
        energy, gradient = descend(fused, pixels, rows, targets, flags)
    twin, twin_gradient = descend(chunked, pixels, selection, targets, flags)
    assert energy.abs().max() > 1 and energy[0, 2] == 0 and energy[1, 3] == 0
    if not flags[2]:
        torch.testing.assert_close(energy, twin, rtol=1e-5, atol=1e-5)
        # of two points equally far, to the last bit, each form pulls the one it met first
        torch.testing.assert_close(gradient, twin_gradient, rtol=1e-4, atol=2e-3)
        assert cosine(gradient, twin_gradient) > 0.999999
    else:  # a window of four or five cells a side; 25 have 0.9999
        assert cosine(gradient, twin_gradient) > 0.999
        torch.testing.assert_close(energy, twin, rtol=0.03, atol=0.3)
    if flags == FLAGS["mean"]:
        cpu, cpu_gradient = descend(fused, pixels, selection, targets, flags)
        torch.testing.assert_close(energy, cpu, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(gradient, cpu_gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_the_kernels_count_linearly_beyond_the_threshold(statistic):
    masks, pixels, rows = scene(40)
    targets, selection = prdl_targets(masks, None), flat(rows)
    flags = tuple(name == statistic for name in STATISTICS)
    with stand_in():
        energy, gradient = descend(lambda p: prdl_part_energies(p, rows, targets, [statistic], 2.0), pixels)

    def twin_energies(p):
        return PrdlChunked.apply(selection.points(p), selection.offset, targets, flags, 2.0).reshape(len(p), -1)

    twin, twin_gradient = descend(twin_energies, pixels)
    squares = descend(fused_squares(rows, targets, statistic), pixels)[0]
    assert (energy[energy > 4] < squares[energy > 4]).all() and (energy > 4).any()
    if statistic == "mean":
        torch.testing.assert_close(energy, twin, rtol=0.03, atol=0.3)
        assert cosine(gradient, twin_gradient) > 0.995
    else:
        torch.testing.assert_close(energy, twin, rtol=1e-5, atol=1e-5)
        assert cosine(gradient, twin_gradient) > 0.99999


def fused_squares(rows, targets, statistic):
    def energies(pixels):
        with stand_in():
            return prdl_part_energies(pixels, rows, targets, [statistic])

    return energies


def test_a_point_that_is_no_number_spoils_its_own_part_alone():
    masks, pixels, rows = scene(24, batch=1, most=20)
    pixels[0, int(rows.bound[0, 5])] = torch.nan
    targets = prdl_targets(masks, None)
    with stand_in():
        for statistic in STATISTICS:
            parts = prdl_part_energies(pixels, rows, targets, [statistic])
            assert parts.isnan().nonzero()[:, 1].tolist() == [5], statistic


def test_rows_of_some_faces():
    _, pixels, rows = scene(batch=3)
    kept = rows[[2, 0]]
    assert torch.equal(kept.points(pixels[[2, 0]]), rows.points(pixels)[[2, 0]])
    assert torch.equal(kept.bound, rows.bound[[2, 0]])


def test_points_are_chosen_as_on_the_cpu():
    generator = torch.Generator().manual_seed(0)
    label = torch.tensor([LABEL["nose"]] * 60 + [LABEL["skin"]] * 150 + [LABEL["left_eye"]] * 5)
    pixels = torch.rand(2, len(label), 2, generator=generator) * 200
    pixels[0, 10] = pixels[0, 11]  # the same place twice
    pixels[:, 60:100] = pixels[:, 60:100].round()  # many equal distances
    keep = torch.rand(2, len(label), generator=generator) < 0.7
    keep[1, :60] = False
    with stand_in():
        rows = group_rows(keep, part_of_label(label), pixels, 0.5)
    expected = group_points(thin_evenly(keep, label, pixels, 0.5), label, pixels, None)
    assert torch.equal(rows.bound.diff(dim=1), expected.count)
    for b in range(2):
        for p in range(len(PARTS)):
            first, last = expected.offset[8 * b + p : 8 * b + p + 2].tolist()
            ours = rows.vertex[b, rows.bound[b, p] : rows.bound[b, p + 1]]
            assert sorted(ours.tolist()) == expected.vertex[first:last].tolist()
    assert all(sorted(row.tolist()) == list(range(len(label))) for row in rows.vertex)


@pytest.mark.parametrize(("size", "most"), [(40, 70), (33, None), (27, 5000)])
def test_targets_where_the_masks_lie(size, most):
    """As on the CPU: the same pixels stay of a large skin, and the same distances follow."""
    masks = scene(size)[0]
    masks[:, -1] = masks[:, 4:].amax(1)
    expected = prdl_targets(masks, most)
    with stand_in():
        descriptors, cells, count = device_targets(masks > 0.5, most)
    assert torch.equal(count, expected.count) and (most is None or count[:, -1].max() <= most)
    torch.testing.assert_close(descriptors, expected.descriptors, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(cells, expected.cell_mean, rtol=1e-5, atol=1e-4)


# ---------------------------------------------------------------- on a GPU


def full_size(batch):
    """224 px, 4,000 points a face, as in a fit."""
    masks, pixels, rows = scene(224, batch=batch, most=900)
    return masks, pixels, rows


@pytest.mark.gpu
def test_compiled_kernels_equal_the_definition():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pytest.importorskip("triton")
    masks, pixels, rows = full_size(2)
    targets, selection = prdl_targets(masks, None), flat(rows)
    energy, gradient = descend(
        fused, pixels.cuda(), PrdlRows(rows.vertex.cuda(), rows.bound.cuda()), targets.to("cuda"), FLAGS["all"]
    )
    twin, twin_gradient = descend(chunked, pixels, selection, targets, FLAGS["all"])
    assert cosine(gradient.cpu(), twin_gradient) > 0.9999
    torch.testing.assert_close(energy.cpu(), twin, rtol=0.01, atol=0.05)


@pytest.mark.gpu
def test_targets_on_a_gpu_equal_the_cpus():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pytest.importorskip("triton")
    masks = full_size(2)[0]
    expected, found = prdl_targets(masks), prdl_targets(masks.cuda()).to("cpu")
    assert torch.equal(found.count, expected.count)
    torch.testing.assert_close(found.descriptors, expected.descriptors, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(found.cell_mean, expected.cell_mean, rtol=1e-5, atol=1e-3)


@pytest.mark.gpu
def test_compiled_kernels_against_cdist():
    """B = 16, forward and backward in the same run: at least 20 times faster in at most a twentieth of the memory."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pytest.importorskip("triton")
    masks, pixels, rows = full_size(16)
    targets, selection = prdl_targets(masks, None).to("cuda"), flat(rows)
    selection = PrdlSelection(selection.face.cuda(), selection.vertex.cuda(), selection.offset)
    rows, pixels = PrdlRows(rows.vertex.cuda(), rows.bound.cuda()), pixels.cuda()

    def slow():
        return descend(lambda p: prdl_energy_naive(p, selection, targets)[:, None], pixels)

    def fast():
        return descend(fused, pixels, rows, targets, FLAGS["all"])

    figures = {}
    for name, call in (("cdist", slow), ("fused", fast)):
        call()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        held, began = torch.cuda.memory_allocated(), time.perf_counter()
        call()
        torch.cuda.synchronize()
        figures[name] = time.perf_counter() - began, torch.cuda.max_memory_allocated() - held
    print(figures)
    assert figures["cdist"][0] >= 20 * figures["fused"][0]
    assert figures["cdist"][1] >= 20 * figures["fused"][1]

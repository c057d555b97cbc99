import math

import pytest
import torch

from facefit.anatomy import landmarks as topology
from facefit.anatomy.landmarks import INNER_LIP_PAIRS, LEFT_LID_PAIRS, RIGHT_LID_PAIRS
from facefit.energies.dense import normal_energy
from facefit.energies.eye_closure import relative_offset_energy
from facefit.energies.landmark import calibrated_precision, landmark_energy, march_contour
from facefit.energies.outline import outline_energy
from facefit.energies.photometric import photometric_energy, photometric_energy_torch
from facefit.energies.prior import activation_prior, gaussian_prior, gaze_prior
from facefit.energies.symmetry import albedo_symmetry


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(energy, x):
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(energy(x).sum(), x)[0]


# --- outline ----------------------------------------------------------------------------------------------------------


def test_outline_by_hand():
    observed, across = torch.zeros(1, 4, 2), torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]])
    projected = torch.tensor([[[2.0, 9.0], [7.0, -5.0], [float("nan"), 1.0], [1.0, 1.0]]])
    # 2 across, whatever lies along; 5 across is beyond the threshold: 3 (2 * 5 - 3); the third is not found and costs
    # as much as one 10 px off, 3 (2 * 10 - 3); the last is not used
    found, used = torch.tensor([[1.0, 0.5, 0.0, 0.0]]), torch.tensor([[1.0, 0.5, 1.0, 0.0]])
    energy = outline_energy(projected, observed, across, found, used, 10.0, 3.0)
    assert energy.item() == pytest.approx((4 + 0.5 * 21 + 51) / 4)
    assert outline_energy(projected, observed, across, 0 * found, 0 * used, 10.0).item() == 0
    for wrong in ({"missed": 0.0}, {"threshold": 0.0}, {"found": torch.ones(1, 2)}, {"normal": torch.ones(1, 2, 2)}):
        given = {"normal": across, "found": found, "used": used, "missed": 10.0, **wrong}
        with pytest.raises(ValueError):
            outline_energy(projected, observed, **given)


def test_outline_gradcheck():
    observed, across = random(2, 5, 2, seed=1), torch.nn.functional.normalize(random(2, 5, 2, seed=2), dim=-1)
    found = torch.tensor([[1, 0.5, 0, 1, 0.2], [0.3, 1, 1, 0, 0]], dtype=torch.float64)

    def energy(x):
        return outline_energy(x, observed, across, found, torch.ones_like(found), 9.0, 1.5)

    projected = (3 * random(2, 5, 2)).requires_grad_(True)
    assert torch.autograd.gradcheck(energy, projected)
    slope = gradient(energy, projected)
    along = torch.stack([-across[..., 1], across[..., 0]], -1)
    assert (slope * along).sum(-1).abs().max() < 1e-12  # along the outline nothing pulls
    assert slope.norm() > 0.1


# --- dense ------------------------------------------------------------------------------------------------------------


def test_dense_normals_by_hand():
    along = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 4.0, 0.0], [1.0, 1.0, 0.0], [float("nan"), 0.0, 0.0]]])
    normal = torch.tensor([[[0.0, 0.0, 1.0], [0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    length, deviation = torch.tensor([2.0, 4.0, 1.0, 1.0]), torch.tensor([[0.1, 0.3, 0.2, 0.1]])
    # the first lies across its normal; the second leaves it by .6 / .3 = 2 deviations; the third by 5: 3 (2 * 5 - 3)
    share = torch.tensor([[1.0, 1.0, 0.5, 0.0]])
    energy = normal_energy(along, length, normal, deviation, share)
    assert energy.item() == pytest.approx((0 + 4 + 0.5 * 21) / 2.5)
    assert normal_energy(along, length, normal, deviation, 0 * share).item() == 0
    for wrong in ({"threshold": 0.0}, {"length": torch.ones(3)}, {"share": torch.ones(1, 3)}, {"normal": along[:, :2]}):
        with pytest.raises(ValueError):
            normal_energy(**{"along": along, "length": length, "normal": normal, "deviation": deviation,
                             "share": share, **wrong})  # fmt: skip


def test_dense_normals_gradcheck():
    normal = torch.nn.functional.normalize(random(2, 6, 3, seed=1), dim=-1)
    length, deviation, share = random(6, seed=2).abs() + 1, random(2, 6, seed=3).abs() + 0.2, random(2, 6, seed=4).abs()

    def energy(x):
        return normal_energy(x, length, normal, deviation, share, 1.5)

    along = (2 * random(2, 6, 3)).requires_grad_(True)
    assert torch.autograd.gradcheck(energy, along)
    assert torch.linalg.cross(gradient(energy, along), normal).abs().max() < 1e-12  # it pulls along the normal alone


# --- landmark ---------------------------------------------------------------------------------------------------------


def spd(*shape):
    root = random(*shape, 2, 2, seed=9)
    return root @ root.transpose(-1, -2) + 0.5 * torch.eye(2, dtype=torch.float64)


def test_landmark_by_hand():
    projected = torch.tensor([[[3.0, 4.0], [1.0, 0.0]]])
    observed = torch.zeros(1, 2, 2)
    assert landmark_energy(projected, observed, None, torch.ones(1, 2)).item() == pytest.approx((25 + 1) / 2)
    precision = torch.tensor([[2.0, 0.5], [0.5, 1.0]]).expand(1, 2, 2, 2)
    # 2*9 + 2*0.5*12 + 16 = 46 and 2
    assert landmark_energy(projected, observed, precision, torch.ones(1, 2)).item() == pytest.approx(24.0)
    # confidences 1 and 3: weighted mean
    assert landmark_energy(projected, observed, precision, torch.tensor([[1.0, 3.0]])).item() == pytest.approx(13.0)


def test_landmark_robust_by_hand():
    at = torch.tensor([[[5.0, 0.0]]])
    zero, one = torch.zeros(1, 1, 2), torch.ones(1, 1)
    assert landmark_energy(at, zero, None, one, "huber", 2.0).item() == pytest.approx(2 * 2 * 5 - 4)
    assert landmark_energy(at, zero, None, one, "geman_mcclure", 2.0).item() == pytest.approx(25 * 4 / 29)
    near = at / 1000
    for kind in ("huber", "geman_mcclure"):
        assert landmark_energy(near, zero, None, one, kind, 2.0).item() == pytest.approx(25e-6, rel=1e-4)


@pytest.mark.parametrize("robust", ["none", "huber", "geman_mcclure"])
def test_landmark_gradcheck(robust):
    observed, precision = random(2, 5, 2, seed=1), spd(2, 5)
    confidence = torch.tensor([[1, 0.5, 0, 1, 0.2], [0.3, 1, 1, 0, 0]], dtype=torch.float64)
    projected = (3 * random(2, 5, 2)).requires_grad_(True)

    def energy(x):
        return landmark_energy(x, observed, precision, confidence, robust, 2.0)

    assert torch.autograd.gradcheck(energy, projected)


@pytest.mark.parametrize("robust", ["none", "huber", "geman_mcclure"])
def test_landmark_left_out_and_exact(robust):
    observed = random(1, 3, 2)
    observed[0, 1] = math.nan
    confidence = torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64)
    projected = random(1, 3, 2, seed=3)
    grad = gradient(lambda x: landmark_energy(x, observed, spd(1, 3), confidence, robust), projected)
    assert torch.isfinite(grad).all() and (grad[0, 1] == 0).all() and (grad[0, 0] != 0).any()
    exact = gradient(lambda x: landmark_energy(x, random(1, 3, 2), None, confidence, robust), random(1, 3, 2))
    assert (exact == 0).all()
    nothing = landmark_energy(projected, observed, None, torch.zeros(1, 3), robust)
    assert nothing.item() == 0.0


def test_landmark_batch_is_independent():
    projected, observed, precision, confidence = random(3, 4, 2), random(3, 4, 2, seed=1), spd(3, 4), random(3, 4).abs()
    together = landmark_energy(projected, observed, precision, confidence, "huber")
    alone = [landmark_energy(projected[i, None], observed[i, None], precision[i, None], confidence[i, None], "huber")
             for i in range(3)]  # fmt: skip
    assert torch.equal(together, torch.cat(alone))


def test_landmark_errors():
    points, ones = torch.zeros(1, 3, 2), torch.ones(1, 3)
    with pytest.raises(ValueError, match="both"):
        landmark_energy(points, torch.zeros(1, 4, 2), None, ones)
    with pytest.raises(ValueError, match="confidence"):
        landmark_energy(points, points, None, torch.ones(1, 4))
    with pytest.raises(ValueError, match="precision"):
        landmark_energy(points, points, torch.eye(2), ones)
    with pytest.raises(ValueError, match="cauchy.*accepted"):
        landmark_energy(points, points, None, ones, "cauchy")
    with pytest.raises(ValueError, match="threshold"):
        landmark_energy(points, points, None, ones, "huber", 0.0)


def test_calibration_interpolates_in_yaw():
    yaw = torch.tensor([-30.0, 0.0, 30.0])
    bias = torch.tensor([[[2.0, 0.0]], [[0.0, 0.0]], [[0.0, 4.0]]])
    covariance = torch.tensor([4.0, 1.0, 9.0])[:, None, None, None] * torch.tensor([[1.0, 0.25], [0.25, 1.0]])
    asked = torch.tensor([-60.0, -30.0, -15.0, 0.0, 15.0, 90.0])
    scale = torch.full((6,), 0.5)
    bias_pixels, precision = calibrated_precision(asked, yaw, bias, covariance, scale, floor=1.0)
    expected = torch.tensor([[2.0, 0], [2, 0], [1, 0], [0, 0], [0, 2], [0, 4]]) / 0.5
    torch.testing.assert_close(bias_pixels[:, 0], expected)
    variance = torch.tensor([4.0, 4.0, 2.5, 1.0, 5.0, 9.0]) / 0.25
    full = variance[:, None, None] * torch.tensor([[1.0, 0.25], [0.25, 1.0]]) + torch.eye(2)
    torch.testing.assert_close(precision[:, 0], torch.linalg.inv(full))


def test_calibration_with_one_bin_and_errors():
    one = (torch.zeros(1), torch.ones(1, 2, 2), torch.zeros(1, 2, 2, 2))
    bias, precision = calibrated_precision(torch.tensor([33.0]), *one, torch.tensor([2.0]))
    torch.testing.assert_close(bias, torch.full((1, 2, 2), 0.5))
    # a landmark of no variance at all is still only trusted to half a pixel
    torch.testing.assert_close(precision, 4 * torch.eye(2).expand(1, 2, 2, 2))
    with pytest.raises(ValueError, match="floor"):
        calibrated_precision(torch.zeros(1), *one, torch.ones(1), floor=0.0)
    for yaw, scale in ((0.0, 0.0), (0.0, -2.0), (math.nan, 2.0), (math.inf, 2.0)):
        both = calibrated_precision(torch.tensor([yaw, 33.0]), *one, torch.tensor([scale, 2.0]))
        for value, alone in zip(both, (bias, precision), strict=True):
            assert value[0].isnan().all()
            torch.testing.assert_close(value[1:], alone)


def cylinder(yaw_degrees, roll_degrees=0.0):
    """A vertical cylinder of radius 80 px with two rows, 0 to 100 degrees to either side at three heights."""
    angle = torch.deg2rad(torch.arange(0.0, 101.0, 5.0))
    angles = torch.cat([torch.cat([-angle, angle]) for _ in range(3)]) + math.radians(yaw_degrees)
    height = torch.repeat_interleave(torch.tensor([-50.0, 0.0, 50.0]), 2 * len(angle))
    x, y = 80 * angles.sin(), height
    roll = math.radians(roll_degrees)
    pixels = torch.stack([x * math.cos(roll) - y * math.sin(roll), x * math.sin(roll) + y * math.cos(roll)], -1) + 112
    rows = torch.arange(len(angles)).reshape(6, len(angle))
    # the row's front end lies 30 degrees off the middle
    return pixels[None], torch.cat([rows[:, 6:], torch.full((6, 3), -1)], 1), len(angle)


@pytest.mark.parametrize("roll", [0.0, 40.0, 180.0])
def test_contour_marches_to_the_silhouette(roll):
    for yaw in (0.0, 40.0):
        pixels, rows, count = cylinder(yaw, roll)
        chosen = march_contour(pixels, rows)
        degrees = (chosen % count) * 5
        # the silhouette is where the surface turns away: +-90 degrees from the viewer; the far side marches forward,
        # the near side runs to the end of its row
        right, left = degrees[0, 0::2], degrees[0, 1::2]
        assert (left == 90 - yaw).all()
        assert (right == min(90 + yaw, 100)).all()


def test_contour_stops_at_the_frontal_landmark():
    pixels, rows, count = cylinder(40.0)
    stop = torch.full((6,), 9)  # 75 degrees
    degrees = (march_contour(pixels, rows, stop) % count) * 5
    assert (degrees[0, 0::2] == 75).all() and (degrees[0, 1::2] == 50).all()


def test_contour_batch_and_errors():
    first, rows, _ = cylinder(0.0)
    second = cylinder(40.0)[0]
    both = march_contour(torch.cat([first, second]), rows)
    assert torch.equal(both[0:1], march_contour(first, rows)) and torch.equal(both[1:2], march_contour(second, rows))
    with pytest.raises(ValueError, match="contour rows"):
        march_contour(first, torch.full((4, 3), -1))
    with pytest.raises(ValueError, match="stop"):
        march_contour(first, rows, torch.zeros(2, dtype=torch.long))


# --- photometric ------------------------------------------------------------------------------------------------------


def test_photometric_by_hand():
    image = torch.zeros(1, 2, 2, 3)
    rendered = image.clone()
    rendered[0, 0, 0] = torch.tensor([0.0, 0.3, 0.4])
    rendered[0, 1, 1] = 1.0
    weight = torch.tensor([[[1.0, 1.0], [2.0, 0.0]]])
    # (1 * 0.5) / 4: not squared, averaged over the weights
    assert photometric_energy(rendered, image, weight, smooth=1e-6).item() == pytest.approx(0.125, rel=1e-4)
    assert photometric_energy(image, image, weight).item() == 0.0


def test_photometric_gradcheck():
    rendered, image = random(2, 3, 3, 3).requires_grad_(True), random(2, 3, 3, 3, seed=1)
    weight = random(2, 3, 3, seed=2).abs().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x, w: photometric_energy(x, image, w), (rendered, weight))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_photometric_in_one_pass_equals_its_plain_twin(dtype):
    image, weight = random(2, 5, 5, 3, seed=1).to(dtype), random(2, 5, 5, seed=2).clamp_min(0).to(dtype)
    image[0, 2, 2], weight[0, 2, 2] = math.nan, 0
    weight[1, :, 3:] = 0
    slope, found = torch.tensor([0.7, -2.0], dtype=dtype), []
    for energy in (photometric_energy, photometric_energy_torch):
        rendered = random(2, 5, 5, 3).to(dtype).requires_grad_(True)
        value = energy(rendered, image, weight)
        found.append((value, torch.autograd.grad(value, rendered, slope)[0]))
    torch.testing.assert_close(*found)
    assert torch.autograd.gradcheck(lambda x: photometric_energy(x, image.double(), weight.double()),
                                    random(2, 5, 5, 3).requires_grad_(True))  # fmt: skip


def test_photometric_masked_pixels_have_no_gradient():
    image, weight = random(1, 4, 4, 3), torch.ones(1, 4, 4, dtype=torch.float64)
    image[0, 1] = math.nan
    weight[0, 1] = 0
    grad = gradient(lambda x: photometric_energy(x, image, weight), random(1, 4, 4, 3, seed=1))
    assert (grad[0, 1] == 0).all() and (grad[0, 0] != 0).all() and torch.isfinite(grad).all()
    same = random(1, 4, 4, 3)
    assert (gradient(lambda x: photometric_energy(x, same, torch.ones(1, 4, 4)), same) == 0).all()
    assert photometric_energy(same, image, torch.zeros(1, 4, 4)).item() == 0.0


def test_photometric_errors():
    image = torch.zeros(1, 2, 2, 3)
    with pytest.raises(ValueError, match="rendered"):
        photometric_energy(torch.zeros(1, 3, 2, 3), image, torch.ones(1, 2, 2))
    with pytest.raises(ValueError, match="weight"):
        photometric_energy(image, image, torch.ones(1, 2, 2, 1))
    with pytest.raises(ValueError, match="smooth"):
        photometric_energy(image, image, torch.ones(1, 2, 2), smooth=0.0)


# --- priors -----------------------------------------------------------------------------------------------------------


def test_gaussian_prior():
    x = torch.tensor([[1.0, -2.0], [0.0, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(gaussian_prior(x), torch.tensor([5.0, 0.25], dtype=torch.float64))
    diagonal = torch.tensor([2.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(gaussian_prior(x, diagonal), torch.tensor([14.0, 0.75], dtype=torch.float64))
    torch.testing.assert_close(gaussian_prior(x, diagonal), gaussian_prior(x, torch.diag(diagonal)))
    full = torch.tensor([[1.0, 0.5], [0.5, 2.0]], dtype=torch.float64)
    for precision in (None, diagonal, full):
        assert torch.autograd.gradcheck(lambda c, p=precision: gaussian_prior(c, p), random(3, 2).requires_grad_(True))
    with pytest.raises(ValueError, match="precision"):
        gaussian_prior(x, torch.ones(3))


def test_activation_prior():
    x = torch.tensor([[0.0, 0.5, 1.0]], dtype=torch.float64)
    assert activation_prior(x).item() == pytest.approx(1.25)
    assert activation_prior(x, sparsity=0.2).item() == pytest.approx(1.25 + 0.3)
    assert activation_prior(x, sparsity=0.2, scale=0.5).item() == pytest.approx(5.0 + 0.6)
    # the slope does not vanish at the border: what the photo does not ask for stays at 0 under a projection
    grad = gradient(lambda a: activation_prior(a, 0.2), torch.zeros(1, 3))
    torch.testing.assert_close(grad, torch.full((1, 3), 0.2))
    assert torch.autograd.gradcheck(lambda a: activation_prior(a, 0.3), random(2, 4).abs().requires_grad_(True))
    with pytest.raises(ValueError, match="sparsity"):
        activation_prior(x, sparsity=-1.0)
    with pytest.raises(ValueError, match="scale"):
        activation_prior(x, scale=0.0)


def test_gaze_prior():
    ahead = torch.zeros(1, 2, 2, dtype=torch.float64)
    assert gaze_prior(ahead).item() == 0.0
    together = ahead + 0.1
    apart = together.clone()
    apart[:, 1] = -0.1
    assert gaze_prior(together, turn=0.1, squint=0.05).item() == pytest.approx(2.0)
    assert gaze_prior(apart, turn=0.1, squint=0.05).item() == pytest.approx(2 * 16.0)
    assert torch.autograd.gradcheck(gaze_prior, random(2, 2, 2).requires_grad_(True))


# --- closure and symmetry ---------------------------------------------------------------------------------------------


def test_relative_offset_sees_the_gap_and_not_the_place():
    observed = random(1, 478, 2)
    scale = torch.tensor([10.0], dtype=torch.float64)
    moved = observed + torch.tensor([7.0, -3.0], dtype=torch.float64)
    assert relative_offset_energy(moved, observed, RIGHT_LID_PAIRS, scale).item() == pytest.approx(0.0, abs=1e-20)
    opened = observed.clone()
    opened[:, 159, 1] -= 4.0
    assert relative_offset_energy(opened, observed, ((159, 145), (158, 153)), scale).item() == pytest.approx(0.08)
    confidence = torch.ones(1, 478, dtype=torch.float64)
    confidence[0, 158] = 0.0
    observed[0, 158] = math.nan
    energy = relative_offset_energy(opened, observed, ((159, 145), (158, 153)), scale, confidence)
    assert energy.item() == pytest.approx(0.16)
    grad = gradient(lambda x: relative_offset_energy(x, observed, ((159, 145), (158, 153)), scale, confidence), opened)
    assert torch.isfinite(grad).all() and (grad[0, 158] == 0).all() and (grad[0, 153] == 0).all()


def test_relative_offset_gradcheck_and_errors():
    observed, scale = random(2, 6, 2, seed=1), torch.tensor([2.0, 3.0], dtype=torch.float64)
    pairs = torch.tensor([[0, 3], [1, 4]])
    projected = random(2, 6, 2).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: relative_offset_energy(x, observed, pairs, scale), projected)
    with pytest.raises(ValueError, match="scale"):
        relative_offset_energy(observed, observed, pairs, scale[:0])
    with pytest.raises(ValueError, match="both"):
        relative_offset_energy(observed, observed[:1], pairs, scale)


def test_pairs_lie_opposite_each_other_in_the_topology():
    for pairs, loop, corners in (
        (RIGHT_LID_PAIRS, topology.RIGHT_EYE, (33, 133)),
        (LEFT_LID_PAIRS, topology.LEFT_EYE, (263, 362)),
        (INNER_LIP_PAIRS, topology.LIPS_INNER, (78, 308)),
    ):
        known = {frozenset(edge) for edge in zip(loop, loop[1:] + loop[:1], strict=True)}
        for side in (0, 1):  # both rims walk from one corner to the other without a gap, so equal ranks are opposite
            rim = [corners[0], *(pair[side] for pair in pairs), corners[1]]
            assert all(frozenset(step) in known for step in zip(rim[:-1], rim[1:], strict=True))


def test_albedo_symmetry():
    symmetry = torch.tensor([1, 0, 2])
    albedo = torch.tensor([[[0.5, 0.5, 0.5], [0.5, 0.2, 0.5], [0.1, 0.2, 0.3]]], dtype=torch.float64)
    assert albedo_symmetry(albedo, symmetry, smooth=1e-7).item() == pytest.approx(2 * 0.3 / 9, rel=1e-4)
    mirrored = albedo.clone()
    mirrored[0, 1] = mirrored[0, 0]
    assert albedo_symmetry(mirrored, symmetry).item() == 0.0
    assert (gradient(lambda a: albedo_symmetry(a, symmetry), mirrored) == 0).all()
    assert torch.autograd.gradcheck(lambda a: albedo_symmetry(a, symmetry), random(2, 3, 3).requires_grad_(True))
    with pytest.raises(ValueError, match="symmetry"):
        albedo_symmetry(albedo, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="smooth"):
        albedo_symmetry(albedo, symmetry, smooth=0.0)

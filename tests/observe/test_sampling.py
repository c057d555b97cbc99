"""Pixels at other places: a slow obvious twin within its rounding, the sums of OpenCV's pictures to the bit."""

from zlib import crc32

import numpy as np
import pytest

from facefit.observe.sampling import cropped, halved, inverse_affine, moved

TURNED = np.array([[0.8, 0.3, -20.0], [-0.3, 0.8, 30.0]])
ENLARGED = np.array([[2.7, -0.2, -150.0], [0.2, 2.7, -200.0]])
SHRUNK = np.array([[0.55, 0.0, 40.3], [0.0, 0.55, 12.7]])


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (130, 171, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def smooth() -> np.ndarray:
    """Slopes of at most two grey levels a pixel, so that 1/32 pixel is nothing."""
    y, x = np.mgrid[:130, :171]
    return np.stack([x, 128 + 60 * np.sin(y / 30) * np.cos(x / 30), 255 - y], -1).round().astype(np.uint8)


def sampled(image, x, y, replicate):
    """Bilinear, one pixel at a time; the centre of the first pixel is at 0."""
    height, width = image.shape[:2]
    left, top = int(np.floor(x)), int(np.floor(y))
    value = np.zeros(3)
    for i, share_y in ((top, top + 1 - y), (top + 1, y - top)):
        for j, share_x in ((left, left + 1 - x), (left + 1, x - left)):
            if replicate or (0 <= i < height and 0 <= j < width):
                value += share_y * share_x * image[min(max(i, 0), height - 1), min(max(j, 0), width - 1)]
    return value


@pytest.mark.parametrize("matrix", [TURNED, ENLARGED, SHRUNK])
def test_moved_is_the_picture_under_the_map(smooth, matrix):
    found = moved(smooth, matrix, 90, 70).astype(float)
    inverse = np.linalg.inv(np.concatenate([matrix, [[0, 0, 1]]]))
    for y in range(0, 70, 7):
        for x in range(0, 90, 7):
            at = inverse @ (x, y, 1)
            inside = 0 <= at[0] <= 170 and 0 <= at[1] <= 129
            # along the photo's border a pixel fades to black within one pixel, by 255 / 32 in a step
            assert np.abs(found[y, x] - sampled(smooth, *at[:2], False)).max() <= (1 if inside else 16)
    assert (moved(smooth, np.array([[1.0, 0, 500], [0, 1, 0]]), 90, 70) == 0).all()


@pytest.mark.parametrize(("matrix", "theirs"), [(TURNED, 1861249928), (ENLARGED, 3512161445), (SHRUNK, 2432886328)])
def test_moved_is_opencvs_to_the_bit(noise, matrix, theirs):
    """The sum of what cv2.warpAffine makes of the same picture (OpenCV 4.11 and 4.14)."""
    assert crc32(moved(noise, matrix, 201, 150).tobytes()) == theirs


def test_inverse_undoes_a_map():
    there_and_back = inverse_affine(TURNED)[:, :2] @ TURNED[:, :2]
    assert there_and_back == pytest.approx(np.eye(2))
    assert inverse_affine(TURNED) @ (*TURNED[:, 2], 1) == pytest.approx([0, 0])


def test_a_map_that_cannot_be_undone_shows_one_place(noise):
    assert (inverse_affine(np.array([[1.0, 2, 3], [2, 4, 5]])) == 0).all()


@pytest.mark.parametrize(
    ("shape", "theirs"),
    [
        ((130, 170), 59280566), ((131, 170), 982708338), ((130, 171), 19728541), ((131, 173), 2382628285),
        ((1, 9), 1209192248), ((5, 1), 1608007759),
    ],
)  # fmt: skip
def test_halved_is_the_mean_of_what_each_pixel_covers(shape, theirs):
    """And to the bit what cv2.resize with INTER_AREA makes of it (OpenCV 4.11), by the sum of its picture."""
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
    found = halved(image)
    size = [max(1, n // 2) for n in shape]
    assert found.shape == (*size, 3)
    weight = []
    for n, count in zip(shape, size, strict=True):
        edge = np.arange(count)[:, None] * (n / count)
        covered = np.minimum(edge + n / count, np.arange(n) + 1) - np.maximum(edge, np.arange(n))
        weight.append(np.clip(covered, 0, None) / (n / count))
    mean = np.einsum("ij,jkc,lk->ilc", weight[0], image.astype(float), weight[1], optimize=True)
    assert np.abs(found - mean).max() <= 0.51
    assert crc32(found.tobytes()) == theirs


def corners_of(centre, side, degrees):
    c, s = np.cos(np.radians(degrees)) * side / 2, np.sin(np.radians(degrees)) * side / 2
    around = [(-c - s, c - s), (-c + s, -c - s), (c + s, s - c), (c - s, s + c)]
    return (np.array(around) + centre).astype(np.float32)


@pytest.mark.parametrize("replicate", [True, False])
@pytest.mark.parametrize(("centre", "side", "degrees"), [((80, 60), 70, 0), ((85, 64), 100, 25), ((30, 110), 90, -140)])
def test_cropped_shows_what_lies_between_the_corners(smooth, centre, side, degrees, replicate):
    corners = corners_of(centre, side, degrees)
    found = cropped(smooth, corners, 96, replicate).astype(float)
    low_left, top_left, top_right = corners[:3].astype(float)
    for y in range(0, 96, 5):
        for x in range(0, 96, 5):
            at = top_left + x / 96 * (top_right - top_left) + y / 96 * (low_left - top_left)
            inside = replicate or (0 <= at[0] <= 170 and 0 <= at[1] <= 129)
            assert np.abs(found[y, x] - sampled(smooth, *at, replicate)).max() <= (1 if inside else 16)


@pytest.mark.parametrize(
    ("centre", "side", "degrees", "replicate", "theirs"),
    [
        ((85, 64), 100, 25, True, 1547887086), ((85, 64), 100, 25, False, 1890773698),
        ((30, 110), 90, -140, True, 3749378468), ((30, 110), 90, -140, False, 531436484),
        # many of their positions lie on a tie of rounding
        ((99, 77), 93, 0, True, 326085109), ((64, 68), 93, 90, False, 2385090019),
    ],
)  # fmt: skip
def test_a_crop_is_opencvs_to_the_bit(noise, centre, side, degrees, replicate, theirs):
    """The sum of what cv2.getPerspectiveTransform and cv2.warpPerspective make of the same corners (OpenCV 4.11)."""
    assert crc32(cropped(noise, corners_of(centre, side, degrees), 192, replicate).tobytes()) == theirs


def test_layout_in_memory_does_not_matter(noise):
    flipped = noise[:, ::-1]
    assert np.array_equal(moved(flipped, TURNED, 60, 60), moved(np.ascontiguousarray(flipped), TURNED, 60, 60))
    corners = corners_of((85, 64), 100, 25)
    assert np.array_equal(cropped(flipped, corners, 64, True), cropped(flipped.copy(), corners, 64, True))

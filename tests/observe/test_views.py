"""Views of a photo, by exact maps."""

import numpy as np
import pytest

from facefit.anatomy import landmarks as topology
from facefit.observe.views import Pyramid, attempts, flip, square, whole


@pytest.mark.parametrize(
    "view",
    [
        whole(90, 60, 30, margin=0.3),
        whole(90, 60, 90),
        square(np.array([40.0, 30.0]), 33.0, 80, -20),
        flip(square(np.array([40.0, 30.0]), 33.0, 80, 10)),
    ],
    ids=["turned", "upright", "crop", "mirrored"],
)
def test_a_view_shows_each_point_where_its_map_says(view):
    """A blob of the photo is found in the view, and carried back to where it is in the photo."""
    at = np.array([41.5, 33.5])
    y, x = np.mgrid[:60, :90] + 0.5
    blob = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 8)
    picture = view.render(Pyramid(np.repeat((255 * blob)[..., None], 3, 2).astype(np.uint8)))[..., 0].astype(float)
    assert picture.shape == (view.height, view.width)
    y, x = np.mgrid[: view.height, : view.width] + 0.5
    seen = np.array([[(picture * x).sum(), (picture * y).sum(), 0]]) / picture.sum()
    assert np.abs(view.to_photo(seen)[0, :2] - at).max() < 0.1


def test_a_shrunken_view_is_not_aliased():
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    small = whole(512, 512, side=64).render(Pyramid(stripes))
    assert small.shape == (64, 64, 3)
    assert np.abs(small[4:-4, 4:-4].astype(int) - 127).max() <= 3


def test_a_mirrored_view_gives_the_person_the_right_sides_back():
    points = np.random.default_rng(0).uniform(0, 64, (478, 3))
    plain = square(np.array([32.0, 32.0]), 64.0, 64)
    seen = points.copy()
    seen[:, 0] = 64 - seen[:, 0]
    assert np.allclose(flip(plain).to_photo(seen[topology.MIRROR]), points)


def test_attempts_begin_with_the_whole_photo_and_cover_it_with_tiles():
    groups = list(attempts(400, 300))
    assert [len(group) for group in groups[:3]] == [1, 1, 2]
    assert groups[0][0].matrix.tolist() == whole(400, 300).matrix.tolist()
    corners = np.array([[1, 1, 0], [399, 1, 0], [1, 299, 0], [399, 299, 0], [200, 150, 0]], float)
    for tiles in groups[-2:]:
        for corner in corners:
            seen = [tile.matrix[:, :2] @ corner[:2] + tile.matrix[:, 2] for tile in tiles]
            assert any(((0 <= at) & (at <= 640)).all() for at in seen)
    assert max(len(group) for group in attempts(100, 90)) == 2  # a photo this small has no tiles

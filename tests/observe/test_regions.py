"""Regions: where crops lie, and which of several are one face."""

import numpy as np
import pytest

from facefit.observe.regions import Region, distinct, overlap, region_of_box, region_of_landmarks, whole_picture


def test_a_region_and_its_crop_are_the_same_square():
    region = Region(50.0, 40.0, 60.0, np.radians(90))
    ends = region.to_picture(np.array([[0, 0, 8.0], [192, 0, 0], [96, 96, 4]]), 192)
    # turned clockwise by 90 degrees the crop's top left is the square's top right, and depth shrinks as lengths do
    assert ends == pytest.approx(np.array([[80, 10, 2.5], [80, 70, 0], [50, 40, 1.25]]))
    picture = np.zeros((80, 100, 3), np.uint8)
    picture[12:18, 70:78] = 200
    crop = region.crop(picture, 60, False)
    assert crop[4:8, 4:6].min() == 200 and crop[20:, 20:].max() == 0


def test_the_whole_picture_is_a_square_around_it():
    region = whole_picture(100, 60)
    assert (region.x, region.y, region.side, region.angle) == (50, 30, 100, 0)


@pytest.mark.parametrize("degrees", [0, 30, -75, 170])
def test_a_box_becomes_a_square_upright_by_the_eyes(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    right, left = np.array([-c, -s]), np.array([c, s])
    region = region_of_box(np.array([10.0, 20, 50, 50]), right, left)
    assert (region.x, region.y, region.side) == (30, 35, 60)
    assert np.degrees(region.angle) == pytest.approx(degrees)


def test_landmarks_are_followed_with_all_their_points():
    points = np.full((478, 3), 50.0)
    points[33, :2], points[263, :2] = (40, 50), (60, 50)
    points[470, 1], points[152, 1] = 10, 90  # an iris counts like any other point
    region = region_of_landmarks(points)
    assert (region.x, region.y, region.side, region.angle) == (50, 50, 120, 0)


def test_of_regions_of_one_face_the_last_stays():
    first, second, other = Region(50, 50, 40), Region(55, 50, 40), Region(150, 50, 40)
    assert overlap(first, second) == pytest.approx(35 / 45) and overlap(first, other) == 0
    assert distinct([first, other, second]) == [other, second]
    assert distinct([first, Region(80, 50, 40)]) == [first, Region(80, 50, 40)]

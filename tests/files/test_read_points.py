"""Lists of points in every format that is read."""

import json

import numpy as np
import pytest

from facefit.errors import InputError
from facefit.files.read_points import LARGEST_FILE, read_points


def test_points_of_every_kind(tmp_path):
    points = [[1.0, 2.0, 3.0], [4.5, 5.0, -6.0]]
    np.save(tmp_path / "a.npy", points)
    (tmp_path / "a.json").write_text(json.dumps({"points": points}))
    (tmp_path / "a.txt").write_text("1 2 3\n4.5 5 -6\n\n")
    (tmp_path / "a.csv").write_text("1,2,3\n4.5,5,-6\n")
    (tmp_path / "a.pts").write_text("version: 1\nn_points: 2\n{\n1 2 3\n4.5 5 -6\n}\n")
    (tmp_path / "a.pp").write_text('<!DOCTYPE PickedPoints><PickedPoints><point x="1" y="2" z="3" name="0" active="1"/>'
                                   '<point x="4.5" y="5" z="-6" name="1" active="1"/></PickedPoints>')  # fmt: skip
    for path in tmp_path.iterdir():
        assert read_points(path).tolist() == points, path.name
        with path.open("ab") as stream:
            stream.truncate(LARGEST_FILE + 1)
        with pytest.raises(InputError, match="accepted: up to 4 MiB"):
            read_points(path)

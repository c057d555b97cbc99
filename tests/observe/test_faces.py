"""Which of the detected faces are meant."""

import numpy as np
import pytest

from facefit.errors import NoFaceError
from facefit.observe.faces import DetectedFace, select_faces


def make_face(left: float, size: float) -> DetectedFace:
    points = np.zeros((478, 2), np.float32)
    points[:, 0] = left + np.linspace(0, size, 478)
    return DetectedFace(points, np.zeros(478, np.float32), 0.9)


def test_select_faces():
    faces = [make_face(0, 90), make_face(100, 50)]
    assert select_faces(faces) == [faces[0]]
    assert select_faces(faces, "all") == faces
    assert select_faces(faces, 2) == [faces[1]] == select_faces(faces, "2")
    with pytest.raises(NoFaceError, match="face 3 .* 2 faces"):
        select_faces(faces, 3)
    with pytest.raises(NoFaceError, match="no face found"):
        select_faces([], "all")
    for wrong in ("biggest", 0, "-1", "1.5"):
        with pytest.raises(ValueError, match="expected 'largest'"):
            select_faces(faces, wrong)

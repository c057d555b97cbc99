"""Fixtures that every test may ask for."""

import pytest
from helpers.toy_model import toy_arrays

from facefit.model.face_model import FaceModel
from facefit.model.model_file import from_arrays


@pytest.fixture(scope="session")
def toy_model() -> FaceModel:
    return from_arrays(toy_arrays())

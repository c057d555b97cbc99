"""Two fits of the toy model, which all figures are taken of."""

import dataclasses

import pytest
from helpers.synthetic_result import synthetic_result
from helpers.toy_model import toy_arrays
from PIL import Image

from facefit.model.model_file import load_model, save_arrays
from facefit.output.write import write_result
from facefit.scene.part_picture import render_labels


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_arrays(folder / "toy.npz", toy_arrays())
    return folder / "toy.npz"


@pytest.fixture(scope="session")
def folder(tmp_path_factory, toy):
    """Two fits of the toy in a folder as `facefit batch` fills it, their photos, and true labels."""
    root = tmp_path_factory.mktemp("fits")
    model = load_model(toy)
    for name in ("fits/s1/front", "fits/s1/side", "photos", "labels"):
        (root / name).mkdir(parents=True)
    for k, (name, yaw) in enumerate((("s1/front/7", 0.0), ("s1/side/8", 0.4))):
        result = synthetic_result(model, yaw=yaw)
        photo = root / "photos" / f"{7 + k}.png"
        Image.fromarray(result.photo).save(photo)
        result = dataclasses.replace(result, photo_path=str(photo), landmark_error=0.02 + 0.01 * k)
        write_result(result, root / "fits" / f"{name}.obj", texture_size=16)
        labels = render_labels(model, result.verts_in("camera"), result.camera, *result.photo_size)
        Image.fromarray(labels).save(root / "labels" / f"{7 + k}_label.png")
    return root

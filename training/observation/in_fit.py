"""What the observation brings in a fit, on people whose shapes are known and on photos of one person.

    python -m training.observation.in_fit DATA_DIR [--network build/observation/both.pt] [--whole]

DATA_DIR/population: rendered people of training.parser.population, held to their surfaces; DATA_DIR/fasseg,
DATA_DIR/fasseg_train: photos, of which those of one person shall give one shape (AUC). Figures with and without the
observation, of the landmark stage or, with --whole, of whole fits; `--points` and `--normals` say how much it counts,
`--network` has weights of a training in place of the bundled network.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch
from torch import Tensor

from facefit.anatomy.landmarks import LANDMARKS7
from facefit.errors import FaceFitError
from facefit.evaluate.identity import compare_identities, face_vertices
from facefit.fit.config import FitConfig
from facefit.fit.descent import fit_observed
from facefit.fit.first_guess import first_guess
from facefit.fit.identity_guess import expected
from facefit.fit.instruments import Instruments
from facefit.metrics.scan_distance import scan_error
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model
from facefit.observe.dense import DenseObserver, load_dense, load_points
from facefit.observe.detector import load_detector
from facefit.observe.segment.load import load_segmenter
from facefit.photo.photo import read_photo
from facefit.render import load_renderer
from facefit.scene.parameters import Parameters
from training.observation.network import DenseNetwork

SAMPLES = 2000  # points of a person's surface that are measured
YAW = 45  # degrees; photos from farther aside are left out

Fitted = Callable[[Path], Parameters | None]  # of the largest face of a photo; None where there is none


def fitter(tools: Instruments, whole: bool) -> Fitted:
    """The landmark stage, or whole fits, as the instruments have it."""

    def fitted(path: Path) -> Parameters | None:
        photo = read_photo(path)
        faces = tools.detector.detect(photo.pixels)
        if not faces:
            return None
        observation = tools.observe(photo, faces[0])
        if not whole:
            observation = expected(observation, tools.model, tools.config)
            return first_guess(observation, tools.model, tools.config)
        try:
            return fit_observed(observation, tools, photo=photo)[0].parameters
        except FaceFitError:
            return None

    return fitted


def population_errors(folder: Path, model: FaceModel, fitted: Fitted) -> np.ndarray:
    """(N, 2) mm: median distance of each person's face to the mesh, after similarity and after rigid alignment."""
    rows = []
    for path in sorted(folder.glob("*.npz")):
        found = fitted(path.with_suffix(".png"))
        if found is None:
            continue
        with np.load(path, allow_pickle=False) as file:
            scan = file["verts"], file["faces"], file["landmarks7"], file["region_oval"]
        verts = model.shape(found.identity, found.expression)
        marks = model.landmarks(verts)[0, list(LANDMARKS7)].double().numpy()
        mesh = verts[0].double().numpy(), model.faces.numpy(), marks
        rows.append([scan_error(*mesh, *scan, align=a, samples=SAMPLES)["median"] for a in ("similarity", "rigid")])
    return np.array(rows)


def photo_identities(folders: list[Path], model: FaceModel, fitted: Fitted) -> dict:
    """What `facefit.evaluate.identity.compare_identities` says of the photos of FASSEG-like folders."""
    shapes, people = [], []
    face, rest = face_vertices(model), torch.zeros(1, model.sizes["expression"])
    for folder in folders:
        for item in json.loads((folder / "index.json").read_text())["items"]:
            found = fitted(folder / f"{item['name']}.png") if abs(item["yaw"]) <= YAW else None
            if found is not None:
                shapes.append(model.shape(found.identity, rest)[0].numpy()[face])
                people.append(item.get("person", item["name"]))
    return compare_identities(np.stack(shapes), model.verts.numpy()[face], people)


def observer(weights: Path | None) -> DenseObserver:
    """The bundled network, or one of a training."""
    if weights is None:
        return load_dense()
    network = DenseNetwork()
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network_observer(network)


def network_observer(network: DenseNetwork) -> DenseObserver:
    """What looks with a network of a training."""
    network.eval()

    @torch.no_grad()
    def run(*given: np.ndarray) -> np.ndarray:
        maps: Tensor = network(*(torch.from_numpy(np.ascontiguousarray(value)) for value in given))
        return maps.numpy()

    return DenseObserver(load_points(), run)


def main(arguments: list[str] | None = None) -> int:
    """Print both."""
    default = FitConfig()
    parser = argparse.ArgumentParser(
        prog="python -m training.observation.in_fit", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("data", type=Path)
    parser.add_argument("--network", type=Path, help="weights that training.observation has written")
    parser.add_argument("--points", type=float, default=default.weights.dense_points, help="weight of the points")
    parser.add_argument("--normals", type=float, default=default.weights.dense_normals, help="weight of the normals")
    parser.add_argument("--whole", action="store_true", help="whole fits, not the landmark stage alone")
    given = parser.parse_args(arguments)
    config = replace(default, weights=replace(default.weights, dense_points=given.points, dense_normals=given.normals))
    without = replace(config, energies=tuple(name for name in config.energies if name != "dense"))
    model = load_model()
    tools = Instruments(
        model, load_detector(), load_segmenter("auto"), load_renderer("auto"), without, observer(given.network)
    )
    for title, how in (("landmarks alone", without), ("with the observation", config)):
        fitted = fitter(replace(tools, config=how), given.whole)
        errors = population_errors(given.data / "population", model, fitted)
        known = photo_identities([given.data / "fasseg", given.data / "fasseg_train"], model, fitted)
        print(f"{title}: {len(errors)} people, {errors.mean(0).round(3)} mm", end="; ")
        print(f"{known['shapes']} photos, AUC {known['auc']:.3f}, EER {known['eer']:.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the observation brings in a fit's landmark stage, on people whose shapes are known and on photos of one person.

    python -m training.observation.in_fit DATA_DIR --network build/observation/both.pt

DATA_DIR/population: rendered people of training.parser.population, held to their surfaces; DATA_DIR/fasseg,
DATA_DIR/fasseg_train: photos, of which those of one person shall give one shape (AUC). Figures with and without the
observation; `--points` and `--normals` say how much it counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch

from facefit.anatomy.landmarks import LANDMARKS7
from facefit.evaluate.identity import compare_identities, face_vertices
from facefit.fit.config import preset
from facefit.fit.first_guess import first_guess
from facefit.metrics.scan_distance import scan_error
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model
from facefit.observe.detector import load_detector
from facefit.observe.faces import DetectedFace
from facefit.observe.observation import Observation
from facefit.observe.observe import observe
from facefit.observe.segment.contract import PartSegmenter
from facefit.observe.segment.load import load_segmenter
from facefit.photo.photo import read_photo
from facefit.scene.parameters import Parameters
from training.observation.crop import MAP_SIDE, SIDE, LandmarkSurface, dense_crop
from training.observation.network import NARROW, REACH, WIDE, DenseNetwork, sampled
from training.observation.rendered import MAP_STORED, STORED, STORED_EXTENT
from training.observation.residuals import (
    NORMAL_FLOOR,
    NORMALS,
    POINT_FLOOR,
    POINTS,
    PointBasis,
    Seen,
    point_basis,
    solve_observed,
)
from training.observation.samples import prepared, surface
from training.observation.train import MARGIN, batch_of, look_twice

SAMPLES = 2000  # points of a person's surface that are measured
YAW = 45  # degrees; photos from farther aside are left out


@dataclass(frozen=True)
class Looked:
    """maps (9, 64, 64) of the network; start (P, 3) pixels of its crop; inside (64, 64) the landmarks' surface; matrix
    (2, 3) photo pixels -> pixels of its crop."""

    maps: torch.Tensor
    start: torch.Tensor
    inside: np.ndarray
    matrix: np.ndarray


def look(network: DenseNetwork, about: LandmarkSurface, pixels: np.ndarray, face: DetectedFace) -> Looked:
    """The network's look at a face of a photo (H, W, 3) uint8, and at its mirror image."""
    crop = dense_crop(face.landmarks, STORED, STORED_EXTENT)
    scale = float(np.sqrt(np.linalg.det(crop.matrix[:, :2])))
    landmarks = np.concatenate([crop.points(face.landmarks), face.depth[:, None] * scale], 1).astype(np.float32)
    image = np.rint(crop.sample(pixels.astype(np.float32))).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    side, count = MAP_STORED, len(about.corners)
    rows = {
        "image": image[None], "landmarks": landmarks[None], "normals": np.zeros((1, side, side, 3), np.int8),
        "points": np.zeros((1, count, 3)), "facing": np.ones((1, count), bool), "head": np.zeros(1),
        "millimetres": np.ones(1),
    }  # fmt: skip
    batch = batch_of(prepared(rows, np.ones((1, side, side), bool), about), np.arange(1))
    shift = np.column_stack([np.zeros((2, 2)), np.full(2, MARGIN)])
    inside = (batch.guess[0, 6] > 0.9).numpy()
    return Looked(look_twice(network, batch)[0], batch.start[0], inside, crop.matrix - shift)


def seen(looked: Looked, observation: Observation, points: PointBasis) -> Seen:
    """What was looked at as residuals take it: in pixels of the observation's window."""
    to_window = float(observation.window.scale[0])
    matrix = looked.matrix[:, :2] / to_window
    shift = looked.matrix[:, :2] @ observation.window.origin[0].double().numpy() + looked.matrix[:, 2]
    back = np.linalg.inv(matrix)
    pixel = float(np.sqrt(abs(np.linalg.det(back))))  # of the crop, in pixels of the window

    known = sampled(looked.maps[None, 4:], looked.start[None, :, :2], SIDE)[0].double().numpy()
    at = looked.start[:, :2].double().numpy() + REACH * known[:, :2]
    spread = REACH * np.exp(known[:, 3].clip(NARROW, WIDE))
    middle = (at[points.edges[:, 0]] + at[points.edges[:, 1]]) / 2

    rows, columns = np.mgrid[:MAP_SIDE, :MAP_SIDE] * SIDE / MAP_SIDE + SIDE / MAP_SIDE / 2
    place = ((np.stack([columns, rows], -1) - shift) @ back.T).astype(int).clip(0, observation.size - 1)
    shown = observation.valid[0].numpy()[place[..., 1], place[..., 0]] * looked.inside
    values = torch.cat([looked.maps[:4], torch.from_numpy(shown)[None].float()])[None]
    of_edges, of_points = (
        sampled(values, torch.from_numpy(where).float()[None], SIDE)[0].double().numpy() for where in (middle, at)
    )
    turn = np.linalg.inv(looked.matrix[:, :2] / np.sqrt(np.linalg.det(looked.matrix[:, :2])))
    x, y, z = (of_edges[:, :3] / np.maximum(np.linalg.norm(of_edges[:, :3], axis=1, keepdims=True), 1e-6)).T
    normals = np.stack([turn[0, 0] * x - turn[0, 1] * y, turn[1, 1] * y - turn[1, 0] * x, z], 1)
    # of Laplace's distribution in two dimensions with a mean distance of 2 b, a coordinate's variance is 3 b^2
    return Seen(
        points=(at - shift) @ back.T, point_spread=pixel * np.sqrt(3 * spread**2 + POINT_FLOOR**2),
        point_share=of_points[:, 4] * ((at > 2) & (at < SIDE - 2)).all(1), normals=normals,
        normal_spread=np.sqrt(3 * np.exp(of_edges[:, 3].clip(NARROW, WIDE)) ** 2 + NORMAL_FLOOR**2),
        normal_share=of_edges[:, 4] * ((middle > 2) & (middle < SIDE - 2)).all(1),
    )  # fmt: skip


@dataclass(frozen=True)
class Instruments:
    """What every photo is looked at with; a network of None: landmarks alone."""

    model: FaceModel
    about: LandmarkSurface
    segmenter: PartSegmenter
    network: DenseNetwork | None
    counted: tuple[float, float]

    def first_stage(self, path: Path) -> Parameters | None:
        """Of the largest face of a photo; None where there is none."""
        photo, config = read_photo(path), preset("default")
        faces = load_detector().detect(photo.pixels)
        if not faces:
            return None
        observation = observe(photo, faces[0], self.segmenter, config.window)
        if self.network is None:
            return first_guess(observation, self.model, config)
        points = point_basis(self.model)
        what = seen(look(self.network, self.about, photo.pixels, faces[0]), observation, points)
        return solve_observed(self.model, observation, config, Seen(**{**vars(what), "counted": self.counted}))[0]


def population_errors(folder: Path, instruments: Instruments) -> np.ndarray:
    """(N, 2) mm: median distance of each person's face to the mesh, after similarity and after rigid alignment."""
    rows, model = [], instruments.model
    for path in sorted(folder.glob("*.npz")):
        found = instruments.first_stage(path.with_suffix(".png"))
        if found is None:
            continue
        with np.load(path, allow_pickle=False) as file:
            scan = file["verts"], file["faces"], file["landmarks7"], file["region_oval"]
        verts = model.shape(found.identity, found.expression)
        marks = model.landmarks(verts)[0, list(LANDMARKS7)].double().numpy()
        mesh = verts[0].double().numpy(), model.faces.numpy(), marks
        rows.append([scan_error(*mesh, *scan, align=a, samples=SAMPLES)["median"] for a in ("similarity", "rigid")])
    return np.array(rows)


def photo_identities(folders: list[Path], instruments: Instruments) -> dict:
    """What `facefit.evaluate.identity.compare_identities` says of the photos of FASSEG-like folders."""
    model, shapes, people = instruments.model, [], []
    face, rest = face_vertices(model), torch.zeros(1, model.sizes["expression"])
    for folder in folders:
        for item in json.loads((folder / "index.json").read_text())["items"]:
            found = instruments.first_stage(folder / f"{item['name']}.png") if abs(item["yaw"]) <= YAW else None
            if found is not None:
                shapes.append(model.shape(found.identity, rest)[0].numpy()[face])
                people.append(item.get("person", item["name"]))
    return compare_identities(np.stack(shapes), model.verts.numpy()[face], people)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.observation.in_fit", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("data", type=Path)
    parser.add_argument("--network", type=Path, required=True, help="weights that training.observation has written")
    parser.add_argument("--points", type=float, default=POINTS, help="measurements that all points count as")
    parser.add_argument("--normals", type=float, default=NORMALS, help="measurements that all normals count as")
    given = parser.parse_args(arguments)
    network = DenseNetwork()
    network.load_state_dict(torch.load(given.network, weights_only=True))
    model, about, segmenter = load_model(), surface(), load_segmenter("auto")
    for title, used in (("landmarks alone", None), ("with the observation", network.eval())):
        instruments = Instruments(model, about, segmenter, used, (given.points, given.normals))
        errors = population_errors(given.data / "population", instruments)
        known = photo_identities([given.data / "fasseg", given.data / "fasseg_train"], instruments)
        print(f"{title}: {len(errors)} people, {errors.mean(0).round(3)} mm", end="; ")
        print(f"{known['shapes']} photos, AUC {known['auc']:.3f}, EER {known['eer']:.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

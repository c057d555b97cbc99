"""Hand-labelled photos with finer labels than the hand made: the person decides the border, a fitted mesh the part.

FASSEG's people labelled skin, hair, nose, eyes, mouth and some brows. The model is fitted to each photo under those
labels; where the hand says mouth, the mesh says upper lip, opening or lower lip; where it says skin, the mesh says
face, ear or neck; and it tells the sides apart.

    python -m training.parser.photos DATA_DIR --out FILE.npz

writes fitted, relabelled windows of DATA_DIR/fasseg and DATA_DIR/fasseg_train.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import imageio.v3 as iio  # isort: skip
import numpy as np
import torch
from scipy import ndimage

from facefit.anatomy.label_maps import FASSEG
from facefit.anatomy.landmarks import LEFT_BROW, RIGHT_BROW
from facefit.anatomy.parts import LABEL
from facefit.fit.config import preset
from facefit.fit.fit import fit_batch
from facefit.geometry.camera import to_camera_space, to_clip_space, window_camera
from facefit.geometry.convex_hull import convex_hull
from facefit.geometry.polygon import polygon_pixels
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model
from facefit.observe.detector import NetworkDetector
from facefit.observe.observe import observe
from facefit.observe.segment.label_picture import LabelImageSegmenter
from facefit.observe.segment.masks import remove_specks
from facefit.observe.segment.morphology import grow
from facefit.photo.photo import read_photo
from facefit.photo.window import crop_window, sample_labels, sample_window
from facefit.render import load_renderer
from facefit.scene.parameters import Parameters
from training.parser.samples import IGNORE, MARGIN, SIDE, Samples

logger = logging.getLogger(__name__)

SKIN, HAIR, NOSE, EYES, MOUTH, BROWS = (FASSEG.index(n) for n in ("skin", "hair", "nose", "eyes", "mouth", "brows"))
# The ears of the mean head, mm in model space: beside the head between brow and earlobe, behind the jaw's joint.
EAR_LOW, EAR_HIGH = (70.0, -58.0, -104.0), (np.inf, 24.0, -56.0)
# Below the jaw's edge and behind the chin everything of the head is neck.
NECK_BELOW, NECK_BEHIND = -95.0, -5.0


def mesh_labels(model: FaceModel) -> np.ndarray:
    """(V,) LABELS of the mesh with ears and neck told apart from the rest of the head."""
    label = model.vertex_label.numpy().copy()
    x, y, z = (np.abs(model.verts.numpy()) * (1, 0, 0) + model.verts.numpy() * (0, 1, 1)).T
    head = label == LABEL["head"]
    low, high = EAR_LOW, EAR_HIGH
    ear = (x > low[0]) & (y > low[1]) & (y < high[1]) & (z > low[2]) & (z < high[2])
    label[head & ear] = LABEL["ear"]
    label[head & ~ear & (y < NECK_BELOW) & (z < NECK_BEHIND)] = LABEL["neck"]
    return label


def rendered_labels(model: FaceModel, parameters: Parameters, camera, size: int) -> np.ndarray:
    """(S, S) LABELS of the fitted mesh in a window; 0 beside it."""
    renderer = load_renderer("cpu")
    verts = model.shape(parameters.identity, parameters.expression, parameters.gaze)
    points = to_camera_space(verts, parameters.rotvec, parameters.translation)
    rast = renderer.rasterize(to_clip_space(points, camera, size), model.faces, size)
    triangle = rast[0, ..., 3].long() - 1
    part = renderer.interpolate(model.part_weight[None], rast, model.faces)[0].argmax(-1)
    corner = torch.from_numpy(mesh_labels(model))[model.faces[triangle.clamp(min=0)]].mode(-1).values
    finer = (part == LABEL["head"]) & ((corner == LABEL["ear"]) | (corner == LABEL["neck"]))
    return torch.where(triangle >= 0, torch.where(finer, corner, part), 0).numpy().astype(np.uint8)


def nearest(labels: np.ndarray, accepted: tuple[str, ...]) -> np.ndarray:
    """(S, S) at each pixel the label of the nearest pixel that has one of `accepted`; 0 where there is none."""
    here = np.isin(labels, [LABEL[name] for name in accepted])
    if not here.any():
        return np.zeros_like(labels)
    row, column = ndimage.distance_transform_edt(~here, return_distances=False, return_indices=True)
    return labels[row, column]


def refine(hand: np.ndarray, mesh: np.ndarray, landmarks: np.ndarray, brows: bool) -> np.ndarray:
    """FASSEG's labels -> LABELS.

    Args:
        hand: (S, S) FASSEG's numbers, IGNORE beyond the photo.
        mesh: (S, S) LABELS of the fitted mesh.
        landmarks: (478, 2) window pixels.
        brows: whether the hand labelled both brows; otherwise what lies near them says nothing.
    """
    labels = np.full(hand.shape, IGNORE, np.uint8)
    labels[hand == 0] = LABEL["background"]
    labels[hand == HAIR] = LABEL["hair"]
    labels[hand == NOSE] = LABEL["nose"]
    for number, accepted in (
        (EYES, ("right_eye", "left_eye")),
        (BROWS, ("right_brow", "left_brow")),
        (MOUTH, ("upper_lip", "lower_lip", "mouth_inside")),
    ):
        labels[hand == number] = nearest(mesh, accepted)[hand == number]
    face = ("skin", "nose", "right_eye", "left_eye", "right_brow", "left_brow", "upper_lip", "lower_lip", "head")
    near = nearest(mesh, (*face, "ear", "neck"))
    aside = np.isin(near, (LABEL["ear"], LABEL["neck"]))
    labels[hand == SKIN] = np.where(aside, near, LABEL["skin"])[hand == SKIN]
    at_brows = np.zeros(hand.shape, bool)
    for loop in (RIGHT_BROW, LEFT_BROW):
        at_brows |= polygon_pixels(hand.shape, convex_hull(landmarks[list(loop)]))
    at_brows = grow(at_brows, 0.02 * len(hand))
    # Some brows were labelled hair; true hair there hangs together with the rest of it.
    labels[at_brows & (hand == HAIR) & ~remove_specks(hand == HAIR)] = IGNORE
    if not brows:
        labels[at_brows & np.isin(hand, (SKIN, BROWS))] = IGNORE
    return labels


def build(folders: list[Path], limit: int | None = None) -> Samples:
    """Detect, fit, relabel every photo of FASSEG-like folders; photos where no face is found are left out."""
    model, detector = load_model(), NetworkDetector()
    config = replace(preset("fast"), energies=("landmark", "prdl"))
    rows: dict[str, list] = {name: [] for name in Samples.__dataclass_fields__}
    for folder in folders:
        for item in json.loads((folder / "index.json").read_text())["items"][:limit]:
            photo = read_photo(folder / f"{item['name']}.png")
            faces = detector.detect(photo.pixels)
            if not faces:
                logger.warning("no face found: %s", item["name"])
                continue
            label_file = folder / f"{item['name']}_label.png"
            observation = observe(photo, faces[0], LabelImageSegmenter(label_file, "fasseg"), config.window)
            result = fit_batch(observation, model, config)[0]
            window = crop_window(faces[0].landmarks, SIDE, MARGIN)
            image, inside = sample_window(photo.pixels, window)
            hand = sample_labels(iio.imread(label_file, mode="L"), window, IGNORE)
            mesh = rendered_labels(model, result.parameters, window_camera(observation.camera, window), SIDE)
            landmarks = window.to_window(torch.from_numpy(faces[0].landmarks)[None])[0].numpy()
            rows["images"].append((image + 0.5).clip(0, 255).astype(np.uint8))
            rows["labels"].append(refine(hand, mesh, landmarks, item["brows_found"] == 2))
            rows["landmarks"].append(landmarks.astype(np.float32))
            rows["sources"].append(item["name"][:2])
            rows["people"].append(item.get("person", item["name"]))
            rows["names"].append(f"{folder.name}/{item['name']}")
            rows["yaw"].append(np.float32(item["yaw"]))
            logger.info("%s: landmark error %.3f", item["name"], result.landmark_error)
    return Samples(**{name: np.stack(value) for name, value in rows.items()})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="photos of each folder at most")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    build([given.data / "fasseg", given.data / "fasseg_train"], given.limit).save(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

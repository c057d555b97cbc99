"""How well models represent what they have not seen: shapes of made-up people and of scans, skins of photos.

    python -m training.decoder.evaluate build/decoder --scans DATA/scans --textures build/textures.npz

For each model file in the folder, and the bundled model: NME, the mean distance over the outer corners' distance, of
held-out people of both head models (vertex by vertex) and of scans (their points to the surface fitted to them), and
the L2,1 error of held-out photos' skins (the fitted light is divided out; a gain of each channel is fitted with the
code).

Source: Tran, Liu, Liu 2019, sec. 4.2 and table 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch

from facefit.anatomy.landmarks import LANDMARKS7
from facefit.anatomy.parts import LABEL
from facefit.bundled import model_path
from facefit.compute.sparse_map import SparseMap
from facefit.convert.surface_fit import Samples, fit_surface
from facefit.geometry.triangles import sample_surface
from facefit.metrics.scan_distance import scan_error
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model
from training.decoder.samples import SEEN, Skins, held_out, read_skins

NOISE = 0.1  # mm that a vertex may be off, against the prior of a code
ROUNDS = 4  # of Gauss-Newton
STEPS = 80  # of Adam on a skin's code
RATE = 0.1
LIKELY = 2e-5  # weight of a code's squared length against the L2,1 error
PEOPLE = 8  # of each of the two populations
POINTS = 4000  # of a scan that the model is fitted to


def face_rows(model: FaceModel) -> np.ndarray:
    """(V',) vertices of the face, without eyeballs and the mouth's inside."""
    label = model.vertex_label.numpy()
    return np.flatnonzero((label >= 1) & (label <= LABEL["lower_lip"]) & (model.eyeball.numpy() == 0))


def eye_distance(landmarks7: np.ndarray) -> float:
    """mm between the outer corners of the eyes."""
    return float(np.linalg.norm(landmarks7[0] - landmarks7[3]))


@torch.no_grad()
def represented(model: FaceModel, target: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    """(V',) mm between the target (V, 3) and the model's nearest identity, at those rows."""
    still, code = torch.zeros(model.sizes["expression"]), torch.zeros(model.sizes["identity"])
    at = torch.from_numpy(rows)
    points = SparseMap.from_rows(rows[:, None], np.ones((len(rows), 1)), len(model.verts))
    for _ in range(ROUNDS if model.decoder is not None else 1):
        left = target[at] - model.shape(code[None], still[None])[0, at]
        if model.decoder is None:
            slopes = model.identity_basis[:, at]
        else:
            slopes = model.decoder.linearised(code, still, model.decoder.at(points), True)[1:]
            slopes = slopes[: len(code)]
        flat = slopes.flatten(1).double() / NOISE
        normal = flat @ flat.T + torch.eye(len(code), dtype=torch.float64)
        step = torch.linalg.solve(normal, flat @ (left.flatten().double() / NOISE) - code.double())
        code = code + step.float()
    return (target[at] - model.shape(code[None], still[None])[0, at]).norm(dim=1)


def people_error(model: FaceModel, shapes: np.ndarray, upsample: SparseMap) -> tuple[float, float]:
    """NME of the first half of the shapes (C, 3), the default model's people, and of the second, ICT-FaceKit's."""
    rows = face_rows(model)
    errors = []
    for shape in upsample(torch.from_numpy(shapes).float()):
        corners = model.landmarks(shape[None])[0, list(LANDMARKS7)].numpy()
        errors.append(float(represented(model, shape, rows).mean()) / eye_distance(corners))
    half = len(errors) // 2
    return float(np.mean(errors[:half])), float(np.mean(errors[half:]))


def scan_figures(model: FaceModel, path: Path) -> tuple[float, float]:
    """NME and median mm of a scan to the model fitted to its surface."""
    with np.load(path) as file:
        verts, faces = file["verts"].astype(np.float64), file["faces"].astype(np.int64)
        landmarks7, region = file["landmarks7"].astype(np.float64), file["region_oval"] > 0
    points = sample_surface(verts, faces[region[faces].all(1)], POINTS, seed=1)
    fit = fit_surface(model, Samples(points), landmarks7)
    found = scan_error(fit.verts, model.faces.numpy(), fit.landmarks7, verts, faces, landmarks7, region)
    return found["mean"] / eye_distance(landmarks7), found["median"]


def skin_error(model: FaceModel, skins: Skins) -> np.ndarray:
    """(N,) L2,1 of each photo's skin, over the face as far as it is seen."""
    face = np.zeros(len(model.verts), bool)
    face[face_rows(model)] = True
    weight = torch.from_numpy((skins.weight > SEEN) & face).float()
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1)
    colours = torch.from_numpy(skins.colours).float()
    code = torch.zeros(len(colours), model.sizes["albedo"], requires_grad=True)
    gain = torch.ones(len(colours), 1, 3, requires_grad=True)
    optimizer = torch.optim.Adam(
        [{"params": [code], "lr": RATE}, {"params": [gain], "lr": RATE / 5}], betas=(0.9, 0.99)
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    error = torch.zeros(len(colours))
    for _ in range(STEPS):
        apart = gain * model.albedo(code) - colours
        error = ((apart.square().sum(2) + 1e-10).sqrt() * weight).sum(1)
        optimizer.zero_grad()
        (error + LIKELY * code.square().sum(1)).sum().backward()
        optimizer.step()
        schedule.step()
    return error.detach().numpy()


def main(arguments: list[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="that training.decoder has written")
    parser.add_argument("--scans", type=Path, help="folder of .npz scans")
    parser.add_argument("--textures", type=Path, default=Path("build/textures.npz"))
    options = parser.parse_args(arguments)
    with np.load(model_path()) as file:
        arrays = dict(file)
    upsample = SparseMap.from_rows(arrays["upsample_index"], arrays["upsample_weight"], len(arrays["verts"]))
    skins = read_skins(options.textures, load_model(), arrays)
    skins = skins[held_out(skins)[1]]
    wild = np.array([name.startswith("wild/") for name in skins.name])
    with np.load(options.folder / "held_out.npz") as file:
        own, others = np.split(file["shapes"], 2)
    shapes = np.concatenate([own[:PEOPLE], others[:PEOPLE]])
    for path in (model_path(), *sorted(options.folder.glob("*[0-9].npz"))):
        model = load_model(path)
        nearer, farther = people_error(model, shapes, upsample)
        print(f"{path.stem}: NME of held-out people {nearer:.4f} (own), {farther:.4f} (ICT)", flush=True)
        for scan in sorted(options.scans.glob("*.npz")) if options.scans else ():
            nme, median = scan_figures(model, scan)
            print(f"  {scan.stem}: NME {nme:.4f}, median {median:.3f} mm", flush=True)
        tint = skin_error(model, skins)
        print(f"  skins: L2,1 {tint[~wild].mean():.4f} (frontal), {tint[wild].mean():.4f} (wild)", flush=True)


if __name__ == "__main__":
    main()

"""Photos of the ablation: two splits without a person in common, and what is known of each face."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.dataset import Case, cases, spread
from facefit.anatomy.parts import LABEL, PARTS
from facefit.files.outputs import write_files
from facefit.fit.config import FitConfig
from facefit.geometry.camera import Camera, WindowTransform
from facefit.observe.observation import Observation

JUDGED = 224  # side of the window in which the masks are kept and the results are judged
FITTED = 112  # side of the window that the methods see; PRDL's anchors are its pixels

# Photos per set in the split that the settings are chosen on, and at most so many in the one that is reported.
TUNING = {"ict_synthetic": 2, "fasseg": 4, "wild": 2}
RESULTS = {"ict_synthetic": 9, "fasseg": 24, "wild": 12}
SPLITS = ("tuning", "results")


@dataclass(frozen=True)
class Face:
    """One photo.

    Attributes:
        case: the photo and its true surface. observation: (B = 1) of a JUDGED window.
    """

    case: Case
    observation: Observation

    @property
    def key(self) -> str:
        return f"{self.case.set}/{self.case.name}"


def person(case: Case) -> str:
    """Who is on the photo, as far as the names tell (FASSEG's V3 has several photos of each person)."""
    return case.name[:6] if case.name.startswith("v3_") else case.name


def split(data: Path, limit: int | None = None) -> dict[str, list[Case]]:
    """Both splits. Every set gives its persons in the order of its files: first to the tuning, the rest to the results.

    Args:
        limit: at most so many photos of each set in each split, for a quick look.
    Raises:
        FileNotFoundError: a set is absent.
    """
    found: dict[str, list[Case]] = {name: [] for name in SPLITS}
    for name in RESULTS:
        every = sorted(cases(data, name), key=lambda case: case.name)
        kinds: dict[str, list[Case]] = {}
        for case in every:  # FASSEG's frontal (V2) and turned (V3) photos share the places alike
            kinds.setdefault(case.group, []).append(case)
        for members in kinds.values():
            share = {"tuning": TUNING[name] // len(kinds), "results": RESULTS[name] // len(kinds)}
            people = list(dict.fromkeys(person(case) for case in members))
            few = max(1, round(len(people) * TUNING[name] / (TUNING[name] + RESULTS[name])))
            first = set(people[:few])
            for which in SPLITS:
                pool = [case for case in members if (person(case) in first) == (which == "tuning")]
                found[which] += spread(pool, min(share[which], limit or share[which]))
    return found


def observe_case(case: Case) -> Observation:
    """Detect and segment one photo; the masks are the set's own labels where it has any."""
    from facefit.observe.dense import load_dense
    from facefit.observe.detector import load_detector
    from facefit.observe.faces import select_faces
    from facefit.observe.observe import observe
    from facefit.observe.segment.load import load_segmenter
    from facefit.photo.photo import read_photo

    if case.set == "ict_synthetic":
        segmenter = _RenderedLabels(case.labels)
    else:
        segmenter = load_segmenter("auto") if case.labels is None else load_segmenter(str(case.labels), "fasseg")
    photo = read_photo(case.photo)
    face = select_faces(load_detector().detect(photo.pixels), "largest")[0]
    config = replace(FitConfig(), window=JUDGED)
    seen = observe(photo, face, segmenter, config.window, case.focal, dense=load_dense())
    if not case.brows:  # the labels do not have them, so they lie somewhere in the skin: then neither counts
        masks = seen.part_masks.clone()
        masks[:, [PARTS.index("left_brow"), PARTS.index("right_brow")]] = 0
        seen = replace(seen, part_masks=masks)
    return seen


class _RenderedLabels:
    """The painted parts of a render as a segmenter. Its skin goes on over ears and neck, and its number for hair is not
    ours."""

    def __init__(self, path: Path) -> None:
        from facefit.observe.segment.label_picture import LabelImageSegmenter

        self.picture = LabelImageSegmenter(path, "facefit")
        raw = self.picture.photo_labels
        self.picture.photo_labels = np.where(raw == LABEL["ear"], LABEL["hair"], raw).astype(np.uint8)

    def segment(self, image: np.ndarray, landmarks: np.ndarray, window: WindowTransform | None = None):
        """See facefit.observe.segment.contract.PartSegmenter."""
        from facefit.observe.segment.regions import separate_ears_and_neck

        seen = self.picture.segment(image, landmarks, window)
        return replace(seen, labels=separate_ears_and_neck(seen.labels, landmarks))


def load_face(case: Case, folder: Path) -> Face:
    """The face from its file in `folder`, made on first use.

    Raises:
        FaceFitError: no face on the photo, or a file that cannot be read or written.
    """
    path = folder / f"{case.set}_{case.name}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _save(path, observe_case(case))
    return Face(case, _load(path))


def _save(path: Path, seen: Observation) -> None:
    import io

    buffer = io.BytesIO()
    tensors = {f.name: getattr(seen, f.name) for f in fields(seen) if f.name not in ("camera", "window", "image")}
    np.savez_compressed(
        buffer, focal=seen.camera.focal, centre=seen.camera.centre, origin=seen.window.origin, scale=seen.window.scale,
        image=(seen.image * 255).round().to(torch.uint8), **tensors,
    )  # fmt: skip
    write_files({path: buffer.getvalue()})


def _load(path: Path) -> Observation:
    with np.load(path, allow_pickle=False) as file:
        stored = {name: torch.from_numpy(file[name]) for name in file.files}
    camera = Camera(stored.pop("focal"), stored.pop("centre"))
    image = stored.pop("image").float() / 255
    window = WindowTransform(stored.pop("origin"), stored.pop("scale"), image.shape[1])
    return Observation(image=image, camera=camera, window=window, **stored)


def shrink(seen: Observation, size: int) -> Observation:
    """The same faces in a smaller window: a pixel is part where most of it is.

    Raises:
        ValueError: the sides do not divide.
    """
    if seen.size % size:
        raise ValueError(f"window of {seen.size} pixels to {size}; expected a divisor")
    factor = seen.size // size
    pool = torch.nn.functional.avg_pool2d
    line = seen.brow_line.clone()
    line[..., 2] /= factor
    return Observation(
        image=pool(seen.image.permute(0, 3, 1, 2), factor).permute(0, 2, 3, 1),
        landmarks=seen.landmarks / factor,
        landmark_confidence=seen.landmark_confidence,
        part_masks=(pool(seen.part_masks, factor) > 0.5).float(),
        valid=pool(seen.valid[:, None], factor)[:, 0],
        brow_line=line,
        camera=seen.camera,
        window=WindowTransform(seen.window.origin, seen.window.scale / factor, size),
    )


def together(observations: list[Observation]) -> Observation:
    """A batch of faces."""
    first = observations[0]
    tensors = {
        f.name: torch.cat([getattr(o, f.name) for o in observations])
        for f in fields(first) if f.name not in ("camera", "window")
    }  # fmt: skip
    camera = Camera(*(torch.cat([getattr(o.camera, name) for o in observations]) for name in ("focal", "centre")))
    origin, scale = (torch.cat([getattr(o.window, name) for o in observations]) for name in ("origin", "scale"))
    return Observation(camera=camera, window=WindowTransform(origin, scale, first.size), **tensors)

"""A segmenter that reads a picture of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...anatomy.label_maps import CELEBAMASK19, FASSEG, our_labels
from ...anatomy.parts import LABEL, LABELS
from ...errors import ImageError
from ...files.read_picture import decode, open_picture
from ...geometry.camera import WindowTransform
from ...photo.window import sample_labels
from .contract import Segmentation, check_window
from .regions import separate_ears_and_neck, separate_sides, split_mouth


class LabelImageSegmenter:
    """Labels from a picture in the photo's pixels, made elsewhere."""

    MAPS = ("facefit", "celebamask19", "fasseg")

    def __init__(self, path: str | Path, label_map: str = "facefit") -> None:
        """
        Args:
            path: a PNG with one channel of label numbers (or a palette), as large as the photo.
            label_map: "facefit" (facefit.anatomy.parts.LABELS), "celebamask19" or "fasseg".
        Raises:
            ValueError: an unknown label map.
            ImageError: the file cannot be read or holds other numbers.
        """
        if label_map not in self.MAPS:
            raise ValueError(f"label map {label_map!r}; accepted: {', '.join(self.MAPS)}")
        self.label_map = label_map
        self.path = Path(path)
        with open_picture(self.path, what="picture of labels") as picture:
            if picture.mode not in ("L", "P"):
                raise ImageError(f"{path}: a label picture of mode {picture.mode}; accepted: 8-bit grey or palette")
            decode(picture)
            self.photo_labels = np.array(picture, np.uint8)
        count = {"facefit": len(LABELS), "celebamask19": len(CELEBAMASK19), "fasseg": len(FASSEG)}[label_map]
        if self.photo_labels.max(initial=0) >= count:
            raise ImageError(f"{path}: label {self.photo_labels.max()}; '{label_map}' has numbers below {count}")

    @property
    def photo_size(self) -> tuple[int, int]:
        """Width and height of the photo that the picture belongs to."""
        return self.photo_labels.shape[1], self.photo_labels.shape[0]

    def segment(self, image: np.ndarray, landmarks: np.ndarray, window: WindowTransform | None = None) -> Segmentation:
        """See PartSegmenter. Raises ValueError without `window`: the picture is in photo pixels."""
        check_window(image, landmarks)
        if window is None:
            raise ValueError("window is None; a label picture needs the way from photo to window pixels")
        seen = sample_labels(self.photo_labels, window)
        if self.label_map == "fasseg":
            labels = our_labels(FASSEG)[seen]
            labels = split_mouth(labels, seen == FASSEG.index("mouth"), landmarks)
            labels = separate_ears_and_neck(separate_sides(labels, landmarks), landmarks)
        elif self.label_map == "celebamask19":
            labels = separate_sides(our_labels(CELEBAMASK19)[seen], landmarks)
        else:
            labels = np.where(seen == LABEL["head"], LABEL["background"], seen).astype(np.uint8)
        return Segmentation(labels, np.ones(labels.shape, np.float32))

"""What each pixel of the window shows: the segmenters' contract, labels made elsewhere, and how masks come of labels.

The masks are those of the PRDL paper after its post-processing (Wang et al. 2024, supplement B): no ears, no specks, no
forehead above the tangents of the brows; hair and what covers the face stay as masks of their own.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ...vocabulary import SEGMENTERS
from .contract import PartSegmenter
from .label_picture import LabelImageSegmenter

logger = logging.getLogger(__name__)

# Segmenters that have a name; others are files.


def load_segmenter(spec: str = "auto", label_map: str = "auto") -> PartSegmenter:
    """The segmenter that `--segmentation` names.

    Args:
        spec: "auto" (facefit's face parser, or "color" with a warning where its file is missing), "parser", "color"
            (landmark polygons refined by this photo's colours), "polygons" (landmarks alone), a face parser `*.onnx`,
            or a label picture `*.png` in the photo's pixels.
        label_map: what the numbers of a parser or label picture mean; see OnnxSegmenter and LabelImageSegmenter.
    Raises:
        ValueError: `spec` is none of these.
        FaceFitError: the file is missing or cannot be used.
    """
    # Each is imported when asked for: onnxruntime is heavy.
    if spec == "auto":
        from .face_parser import ParserSegmenter, missing

        reason = missing()
        if reason is None:
            return ParserSegmenter()
        logger.warning("the face parser cannot be used (%s): parts come from landmarks and colours", reason)
        spec = "color"
    if spec == "parser":
        from .face_parser import ParserSegmenter

        return ParserSegmenter()
    if spec == "color":
        from .colour import ColorSegmenter

        return ColorSegmenter()
    if spec == "polygons":
        from .polygons import PolygonSegmenter

        return PolygonSegmenter()
    suffix = Path(spec).suffix.lower()
    if suffix == ".onnx":
        from .any_parser import OnnxSegmenter
        from .face_parser import ParserSegmenter, is_parser

        return ParserSegmenter(spec) if is_parser(spec) else OnnxSegmenter(spec, label_map)
    if suffix == ".png":
        return LabelImageSegmenter(spec, "facefit" if label_map == "auto" else label_map)
    accepted = ", ".join((*SEGMENTERS, "a face parser *.onnx or a label picture *.png"))
    raise ValueError(f"segmentation {spec!r}; accepted: {accepted}")

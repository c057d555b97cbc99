"""Why a photo is bad: three overlaps of its worst part, and where the surface is off, put into words."""

from __future__ import annotations

from benchmarks.report.notes import NOTES

_POOR = 0.65  # overlap below which a part counts as missed
_GOOD = 0.75
_SAME = 0.05  # overlaps closer than this are the same


def cause(key: str, figures: dict) -> str:
    """A sentence: what the figures say, and what a person saw in the picture where somebody looked."""
    if "error" in figures:
        return figures["error"]
    parts = [_of_parts(figures), _of_surface(figures), _of_photo(figures)]
    measured = "; ".join(part for part in parts if part)
    seen = NOTES.get(key)
    return f"{measured}. Seen: {seen}" if seen and measured else seen or measured


_PARTS = {"fasseg": ("nose", "eyes", "mouth")}
_SEVEN = ("right_eye", "left_eye", "right_brow", "left_brow", "nose", "upper_lip", "lower_lip")


def _worst_part(figures: dict) -> str | None:
    names = _PARTS.get(figures["set"], _SEVEN)
    found = {name: figures[f"iou_{name}"] for name in names if f"iou_{name}" in figures}
    return min(found, key=found.get) if found else None


def verdict_of(figures: dict) -> str | None:
    """What holds back the worst part, in words; None where the truth or the masks are not known."""
    name = _worst_part(figures)
    if name is None or f"mask_{name}" not in figures or f"fit_{name}" not in figures:
        return None
    mesh, mask, own = (figures[f"{kind}_{name}"] for kind in ("iou", "mask", "fit"))
    return _verdict(mesh, mask, figures.get(f"outline_{name}", 0.0), own)


def _of_parts(figures: dict) -> str:
    name = _worst_part(figures)
    if name is None:
        return ""
    mesh, mask, outline, own = (figures.get(f"{kind}_{name}") for kind in ("iou", "mask", "outline", "fit"))
    area = figures.get(f"area_{name}", 1.0)
    text = f"{name.replace('_', ' ')} {mesh:.2f}"
    if mask is None or own is None:
        return text
    text += f" (segmenter {mask:.2f}, detector {outline:.2f}, mesh on the segmenter's {own:.2f})"
    size = "" if 0.7 < area < 1.4 else f", {area:.2f} times the labels' area"
    return f"{text}: {_verdict(mesh, mask, outline or 0.0, own)}{size}"


def _verdict(mesh: float, mask: float, outline: float, own: float) -> str:
    if mesh >= _GOOD:
        return "good enough"
    if mask < _POOR and outline < _POOR:
        return "segmenter and detector both miss the labels here"
    if mask < _POOR:
        return "the segmenter misses the part, the landmarks alone would have been better"
    if mask - mesh > _SAME and outline < _POOR:
        return "the detector is off, the masks are better and lose against it"
    if own < _POOR or mask - mesh > _SAME:
        return "the mesh does not follow masks that are right"
    return "no single cause: a little of each"


def _of_surface(figures: dict) -> str:
    if "scan_similarity" not in figures:
        return ""
    mean_face = figures.get("mean_face_similarity")
    text = f"surface {figures['scan_similarity']:.2f} mm"
    if mean_face:
        text += f" (mean face {mean_face:.2f})"
    if figures.get("scan_where"):
        text += f", most of it at the {figures['scan_where']}"
    return text


def _of_photo(figures: dict) -> str:
    notes = []
    if abs(figures.get("yaw_degrees", 0.0)) > 30:
        notes.append(f"head turned by {abs(figures['yaw_degrees']):.0f} degrees")
    if figures.get("hidden", 0.0) > 0.08:
        notes.append(f"{figures['hidden']:.0%} of the face covered")
    if figures["set"] == "wild" or figures.get("landmark_error", 0.0) > 0.03:
        notes.append(f"landmarks {figures['landmark_error']:.1%} off")
    if figures.get("diverged"):
        notes.append("diverged")
    return ", ".join(notes)

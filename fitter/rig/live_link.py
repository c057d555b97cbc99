"""Weights of ARKit's 52 expressions as CSV, in the columns of the app Live Link Face.

`Timecode` (hours:minutes:seconds:frame.part at FPS frames a second), `BlendShapeCount`, the expressions with a capital
first letter, then head and eyes in radians. Head: yaw is positive to the subject's left, pitch upwards, roll towards
the left shoulder; turned in that order about y, x and z of model space.
"""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..errors import InputError
from .clip import Clip

FPS = 60.0  # of the app, and of what is written
LARGEST_FILE = 1 << 27  # bytes; an hour at 60 frames a second has some 120 MB
MOST_FRAMES = 1 << 18
HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
EYES = tuple(f"{side}Eye{angle}" for side in ("Left", "Right") for angle in ("Yaw", "Pitch", "Roll"))
LARGEST_ANGLE = 4 * math.pi
LARGEST_WEIGHT = 2.0  # the app's own stay below 1; others' go a little over

# ARKit's order, which is that of the app's columns.
NAMES = tuple(
    """eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft eyeBlinkRight
    eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight eyeWideRight jawForward jawRight
    jawLeft jawOpen mouthClose mouthFunnel mouthPucker mouthRight mouthLeft mouthSmileLeft mouthSmileRight
    mouthFrownLeft mouthFrownRight mouthDimpleLeft mouthDimpleRight mouthStretchLeft mouthStretchRight mouthRollLower
    mouthRollUpper mouthShrugLower mouthShrugUpper mouthPressLeft mouthPressRight mouthLowerDownLeft
    mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight browDownLeft browDownRight browInnerUp browOuterUpLeft
    browOuterUpRight cheekPuff cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight tongueOut""".split()
)
_TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,3}(?:\.\d{1,9})?)")


def read_live_link(path: Path, fps: float | None = None) -> Clip:
    """A clip from a CSV of weights. Rows without weights, as the app writes while it sees no face, are left out.

    Args:
        fps: frames a second of the rows; None: by the timecodes, at 60, and where there are none.
    Raises:
        InputError: it cannot be read, lacks the columns, or a row holds no numbers; the message names the row.
    """
    rows = _rows(path)
    header = [cell.strip() for cell in next(rows, (0, []))[1]]
    column = {cell[:1].lower() + cell[1:]: k for k, cell in enumerate(header)}
    names = tuple(name for name in NAMES if name in column)
    if len(names) < len(NAMES) // 2:
        raise InputError(
            f"{path}: {len(names)} of the {len(NAMES)} expressions of ARKit in its first line; expected a CSV of Live "
            "Link Face: Timecode, BlendShapeCount, EyeBlinkLeft, ..."
        )
    head = [column[name[0].lower() + name[1:]] for name in HEAD if name[0].lower() + name[1:] in column]
    chosen = [column[name] for name in names]
    seconds, values, angles, first = [], [], [], None
    for number, cells in rows:
        if len(cells) <= max(chosen) or not cells[chosen[0]].strip():
            continue
        values.append([_number(path, number, header[k], cells[k], LARGEST_WEIGHT) for k in chosen])
        whole = len(head) == len(HEAD) and len(cells) > max(head)
        angles.append([_number(path, number, header[k], cells[k], LARGEST_ANGLE) for k in head] if whole else [0.0] * 3)
        time = (number - 2) / (fps or FPS)
        if fps is None and "timecode" in column:
            time = _seconds(path, number, cells[column["timecode"]])
        first = time if first is None else first
        seconds.append(time - first)
        if len(seconds) > 1 and not seconds[-1] > seconds[-2]:
            raise InputError(f"{path}: row {number}: not later than the row before; say --fps to count rows")
        if len(seconds) > MOST_FRAMES:
            raise InputError(f"{path}: more than {MOST_FRAMES} rows; give several files")
    if not values:
        raise InputError(f"{path}: no row with weights")
    turn = Rotation.from_euler("YXZ", np.array(angles) * (1, -1, -1)).as_matrix()
    weights = np.clip(np.array(values), 0, 1)
    return Clip(names, np.array(seconds), weights, turn, np.zeros((len(values), 3)))


def _rows(path: Path):
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(f"{path}: larger than {LARGEST_FILE >> 20} MiB; give several files")
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    reader = csv.reader(io.StringIO(text.replace("\0", "\ufffd"), newline=""))
    number = 0
    while True:
        number += 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{path}: row {number}: {error}") from None


def _number(path: Path, row: int, name: str, cell: str, largest: float) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not abs(value) <= largest:  # NaN too
        raise InputError(f"{path}: row {row}: {name} is {cell[:20]!r}; expected a number up to {largest:.3g}")
    return value


def _seconds(path: Path, row: int, text: str) -> float:
    found = _TIMECODE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{path}: row {row}: Timecode is {text[:20]!r}; expected hours:minutes:seconds:frame.part")
    hours, minutes, seconds = (int(part) for part in found.groups()[:3])
    return 3600.0 * hours + 60.0 * minutes + seconds + float(found.group(4)) / FPS


def live_link_csv(clip: Clip) -> bytes:
    """The clip as such a file, a row a frame; eyes as the `eyeLook` weights, and their angles where they are known."""
    weights = clip.looked()
    place = {name: k for k, name in enumerate(clip.names)}
    columns = [weights[:, place[name]] if name in place else np.zeros(len(weights)) for name in NAMES]
    angles = Rotation.from_matrix(clip.rotation).as_euler("YXZ") * (1, -1, -1)
    eyes = np.zeros((len(weights), len(EYES)))
    if clip.gaze is not None:
        eyes[:, [3, 4]], eyes[:, [0, 1]] = clip.gaze[:, 0], clip.gaze[:, 1]  # ours has the right eye first
    table = np.concatenate([np.stack(columns, 1), angles, eyes], 1)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    capitals = [name[0].upper() + name[1:] for name in NAMES]
    writer.writerow(["Timecode", "BlendShapeCount", *capitals, *HEAD, *EYES])
    for seconds, row in zip(clip.seconds, table, strict=True):
        writer.writerow([_timecode(seconds), len(NAMES) + len(HEAD) + len(EYES), *(f"{value:.6f}" for value in row)])
    return out.getvalue().encode()


def _timecode(seconds: float) -> str:
    thousandths = round(seconds * FPS * 1000)
    whole, part = divmod(thousandths, round(FPS) * 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02d}:{minute:02d}:{second:02d}:{part / 1000:06.3f}"

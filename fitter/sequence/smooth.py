"""What trembles in a sequence, made still: an average over neighbouring frames that agree within the fit's uncertainty.

A face that keeps still is fitted a little differently in every frame: what the picture tells least moves most, the
depth by a millimetre, lids by a fortieth of the eye. Averaging frames would blur blinks. So each direction of the pose,
each activation and each angle of the gaze is averaged for itself, over frames before and after alike (no lag), and
only with frames that differ by no more than noise: a value that moves is left as it is.

How much noise there is in a direction is the fit's own posterior deviation (facefit.sequence.uncertainty) times one
number for the clip, found where the clip moves least.

Source: Tomasi and Manduchi 1998, "Bilateral filtering for gray and color images", over time.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from ..model.face_model import FaceModel
from ..scene.parameters import Parameters
from .sequence import FittedSequence
from .uncertainty import POSE, pose_and_expression

WINDOW = 0.07  # seconds, the standard deviation of the average: two frames of 30 a second
REACH = 3.0  # such deviations in which frames are looked for
AGREE = 2.0  # deviations of noise by which two frames may differ and still show the same
STILLEST = 0.2  # of the frames: their changes are taken for noise
OF_NOISE = 0.2533  # below so many deviations lie STILLEST of a normal distribution's values
HEAD = 80.0  # mm from a head's middle to where a turn of it is seen
GAZE, JOINT = math.radians(6.0), 0.1  # radians that landmarks leave open, roughly


def smoothed(sequence: FittedSequence) -> FittedSequence:
    """The sequence with pose, expression, gaze and joints made still; energies and errors stay those of the fits."""
    frames = [frame for frame in sequence.frames if frame.parameters is not None]
    found = [frame.parameters for frame in frames if frame.parameters is not None]
    model = sequence.best.model
    still = smoothed_parameters(Parameters.cat(found), np.array([frame.seconds for frame in frames]), model)
    new = {id(frame): still[k] for k, frame in enumerate(frames)}
    changed = [replace(frame, parameters=new[id(frame)]) if id(frame) in new else frame for frame in sequence.frames]
    return replace(sequence, frames=tuple(changed), smooth=True)


def smoothed_parameters(parameters: Parameters, seconds: np.ndarray, model: FaceModel) -> Parameters:
    """As `smoothed`, of F frames of one person.

    Args:
        seconds: (F,) increasing.
    """
    motion = _Motion(parameters, model)
    noise = motion.noise()
    total = np.ones_like(noise)
    step = np.zeros_like(noise)
    for offset in range(1, len(seconds)):
        apart = seconds[offset:] - seconds[:-offset]
        if apart.min() > REACH * WINDOW:
            break
        near = np.exp(-0.5 * (apart / WINDOW) ** 2) * (apart <= REACH * WINDOW)
        for here, there in ((slice(0, -offset), offset), (slice(offset, None), -offset)):
            way = motion.to(there)
            alike = np.exp(-0.25 * (way / (AGREE * noise[here])) ** 2)  # both frames tremble
            weight = near[:, None] * alike
            total[here] += weight
            step[here] += weight * way
    return motion.moved(step / total)


class _Motion:
    """F frames of one person in D directions, each of which the landmarks know for itself: the main axes of what is not
    known of the pose, the activations, and angles of gaze and joints."""

    def __init__(self, parameters: Parameters, model: FaceModel) -> None:
        self.parameters = parameters
        of_pose, of_expression = (found.numpy() for found in pose_and_expression(model, parameters))
        metric = np.array([HEAD] * 3 + [1.0] * 3)
        spread, self.axes = np.linalg.eigh(metric[:, None] * of_pose * metric)
        self.metric = metric
        self.turn = Rotation.from_rotvec(parameters.rotvec.double().numpy())
        flat = [getattr(parameters, name).double().flatten(1).numpy() for name in ("expression", "gaze", "joints")]
        self.shift, self.values = parameters.translation.double().numpy(), np.concatenate(flat, 1)
        rest = np.tile([GAZE] * flat[1].shape[1] + [JOINT] * flat[2].shape[1], (len(spread), 1))
        self.deviation = np.sqrt(np.concatenate([spread.clip(1e-12), of_expression, rest], 1))

    def to(self, offset: int) -> np.ndarray:
        """(N, D) from each frame that has one `offset` further on to that one, in the former's directions."""
        ends = slice(0, -abs(offset)), slice(abs(offset), None)
        first, second = ends if offset > 0 else ends[::-1]
        turned = (self.turn[second] * self.turn[first].inv()).as_rotvec()
        pose = np.concatenate([turned, self.shift[second] - self.shift[first]], 1) * self.metric
        along = np.einsum("fab,fa->fb", self.axes[first], pose)
        return np.concatenate([along, self.values[second] - self.values[first]], 1)

    def noise(self) -> np.ndarray:
        """(F, D) deviations of what trembles: the fit's own, by the share that the stillest frames show."""
        if len(self.deviation) < 3:
            return np.full_like(self.deviation, 1e-9)
        bend = (self.to(1)[1:] + self.to(-1)[:-1]) / math.sqrt(6)
        share = np.quantile(np.abs(bend) / self.deviation[1:-1], STILLEST, axis=0) / OF_NOISE
        return np.maximum(self.deviation * np.minimum(share, 1.0), 1e-9)

    def moved(self, step: np.ndarray) -> Parameters:
        """The parameters a step (F, D) further on."""
        pose = np.einsum("fab,fb->fa", self.axes, step[:, :POSE]) / self.metric
        turn = (Rotation.from_rotvec(pose[:, :3]) * self.turn).as_rotvec()
        changed: dict[str, np.ndarray] = {"rotvec": turn, "translation": self.shift + pose[:, 3:]}
        values, start = self.values + step[:, POSE:], 0
        for name in ("expression", "gaze", "joints"):
            shape = getattr(self.parameters, name).shape
            count = int(np.prod(shape[1:]))
            changed[name] = values[:, start : start + count].reshape(shape)
            start += count
        return replace(self.parameters, **{name: torch.from_numpy(value).float() for name, value in changed.items()})

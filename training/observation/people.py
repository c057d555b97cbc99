"""People as different as real ones: identities wider than the models' own, from phone to telephoto."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from facefit.synth.heads import Head
from facefit.synth.people import Person, random_person

# standard deviations of one person's coefficients, uniform: wider than people are, so that the photo has to tell
WIDTH = (0.6, 1.7)
MOST = 4.0  # of one coefficient
DISTANCE = (350.0, 2500.0)  # mm, log-uniform
PHOTO = 280.0  # mm that the photo shows at the face
SIDE_VIEW = np.radians(55)  # largest yaw


def varied_person(head: Head, rng: np.random.Generator) -> Person:
    """Somebody of a head model."""
    person = random_person(head, rng)
    count = len(head.identity)
    identity = rng.standard_normal(count) * rng.uniform(*WIDTH)
    distance = np.exp(rng.uniform(*np.log(DISTANCE)))
    yaw, pitch, roll = person.pose
    return replace(
        person, identity=np.clip(identity, -MOST, MOST), pose=(yaw * SIDE_VIEW / np.radians(70), pitch, roll),
        focal=float(distance / PHOTO),
    )  # fmt: skip

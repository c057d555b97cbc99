"""Damage that is the same for the same dice, and that is damage."""

import io
import json
import random

import numpy as np
import pytest

from fuzz import originals
from fuzz.mutate import mutated, mutated_json, mutated_npz, mutated_text, resized_png


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.arange(6.0), b=np.array("text"))
    return stream.getvalue()


PNG = originals.labels()
DOCUMENT = json.dumps({"a": [1, 2.5, {"b": None}], "c": "text"}).encode()


@pytest.mark.parametrize(
    ("change", "data"),
    [
        (mutated, PNG),
        (mutated_json, DOCUMENT),
        (mutated_npz, npz()),
        (mutated_text, b"a.jpg\nb.jpg\n"),
        (resized_png, PNG),
    ],
)
def test_the_same_dice_are_the_same_damage(change, data):
    made = [change(data, random.Random(f"seed {k}")) for k in range(20)]
    assert made == [change(data, random.Random(f"seed {k}")) for k in range(20)]
    assert sum(each != data for each in made) >= 15 and len(set(made)) >= 10


def test_nothing_is_too_short_to_be_damaged():
    for k in range(200):
        assert isinstance(mutated(b"x" * (k % 3), random.Random(k)), bytes)


def test_a_resized_png_has_a_header_that_holds():
    from PIL import Image

    sizes = set()
    for k in range(30):
        try:
            with Image.open(io.BytesIO(resized_png(PNG, random.Random(k)))) as image:
                sizes.add(image.size)
        except (OSError, Image.DecompressionBombError, Image.DecompressionBombWarning):
            continue
    assert len(sizes) >= 3

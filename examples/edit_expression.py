"""A fit that was written, with other expressions: a picture of each, and the last one as a mesh. Nothing is fitted.

    facefit portrait.jpg -o face.glb
    python examples/edit_expression.py face.json open.glb faces.png

The texture is the one in the file: the photo was looked at once, so the lips keep their colour when they part.
"""

import sys

import numpy as np
from PIL import Image

from facefit import load

EXPRESSIONS = (
    {},
    {"jawOpen": 0.6},
    {"eyeBlinkLeft": 1.0, "mouthSmileLeft": 0.6, "mouthSmileRight": 0.6},
)


def main(result: str, mesh: str, picture: str, size: int = 384) -> None:
    face = load(result)
    print(face)
    faces = [face.with_expression(values, keep=not values) for values in EXPRESSIONS]
    Image.fromarray(np.hstack([each.render("three quarters", size) for each in faces])).save(picture)
    for path in faces[-1].save(mesh):
        print(path)


if __name__ == "__main__":
    main(*sys.argv[1:4])

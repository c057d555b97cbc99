"""Write your own energy: a term that keeps the mouth shut, added to the ones that facefit has.

    python examples/own_energy.py portrait.jpg mesh.obj

An energy is a function of the parameters that returns one tensor (B,), a number for each face. It may use everything
that the objective knows: `objective.model`, `.observation`, `.camera`, `.config`. Gradients come from torch.
"""

import sys

from facefit import fit_photo, read_photo, write_result
from facefit.fit.objective import Objective
from facefit.scene.parameters import Parameters

UPPER_LIP, LOWER_LIP = 13, 14  # MediaPipe's landmarks in the middle of the inner lips
WEIGHT = 5.0  # 1 / mm^2: an opening of 2 mm costs as much as 20 identity coefficients at one standard deviation


def closed_mouth(parameters: Parameters, objective: Objective) -> dict:
    model = objective.model
    verts = model.shape(parameters.identity, parameters.expression, parameters.gaze)  # (B, V, 3) mm
    landmarks = model.landmarks(verts)  # (B, L, 3)
    opening = landmarks[:, UPPER_LIP] - landmarks[:, LOWER_LIP]
    return {"closed mouth": WEIGHT * opening.square().sum(-1)}


def main(photo: str, mesh: str) -> None:
    result = fit_photo(read_photo(photo), extra_energy=closed_mouth)[0]
    write_result(result, mesh)
    for name, value in result.energies.items():
        print(f"{name:14} {value:8.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:3])

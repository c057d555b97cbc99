"""Another expression on the same face, by the names of the model's units."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import replace

from ..model.face_model import FaceModel
from .parameters import Parameters


def with_expression(
    model: FaceModel, parameters: Parameters, values: Mapping[str, float], keep: bool = True
) -> Parameters:
    """Parameters whose expression has these values.

    Args:
        parameters: of any number of faces.
        values: name of a unit -> activation in [0, 1], or standard deviations where the model has those.
        keep: leave the other units as they are; False: at rest.
    Raises:
        ValueError: the model has no such unit, or a value is out of range.
    """
    expression = parameters.expression.clone() if keep else parameters.expression.new_zeros(parameters.expression.shape)
    for name, value in values.items():
        if name not in model.expression_names:
            near = difflib.get_close_matches(name, model.expression_names, 3, 0.5) or model.expression_names[:3]
            raise ValueError(f"{model.name} has no expression {name!r}; it has {', '.join(near)}, ...")
        if not math.isfinite(value) or (model.activation and not 0 <= value <= 1):
            accepted = "0 to 1" if model.activation else "a finite number of standard deviations"
            raise ValueError(f"{name} is {value}; accepted: {accepted}")
        expression[:, model.expression_names.index(name)] = value
    return replace(parameters, expression=expression)

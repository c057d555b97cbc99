"""What an operator of a network is, and how those of facefit.compute.operators read what they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

Attributes = Mapping[str, Any]
Inputs = Sequence[Tensor | None]


@dataclass(frozen=True)
class Operator:
    """What is computed, and which inputs say how.

    Attributes:
        compute: inputs, attributes -> one output or several.
        read: places of the inputs that are read as plain numbers: shapes, axes, limits.
        indices: the place of an input that holds indices along `axis`.
        of_shapes: the answer hangs on the shape of the input alone.
    """

    compute: Callable[[Any, Attributes], Tensor | Sequence[Tensor]]
    read: tuple[int, ...] = ()
    indices: int | None = None
    of_shapes: bool = False

    def __call__(self, inputs: Inputs, attributes: Attributes) -> Sequence[Tensor]:
        """The outputs. Raises ValueError: a setting that is not supported; torch's own where shapes do not fit."""
        out = self.compute(inputs, attributes)
        return (out,) if isinstance(out, Tensor) else tuple(out)


def numbers(value: Tensor | None) -> list[int]:
    """The whole numbers of an input that says what is done; none of one that is left out."""
    return [] if value is None else [int(each) for each in value.reshape(-1).tolist()]


def only(attributes: Attributes, **expected: Any) -> None:
    """Raises ValueError: an attribute is there and says something else."""
    for name, value in expected.items():
        given = attributes.get(name, value)
        if given != value:
            raise ValueError(f"{name} is {given!a:.40}; accepted: {value!a}")


def there(value: Tensor | None) -> Tensor:
    """The input. Raises ValueError: it is left out."""
    if value is None:
        raise ValueError("an input is left out")
    return value

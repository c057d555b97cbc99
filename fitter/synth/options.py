"""What a data set of synthetic people is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .light import LIGHTS

MESHES = ("none", "npz", "obj")
SENSOR = 36.0  # mm across a photo of a 35 mm camera, which focal lengths are told by


@dataclass(frozen=True)
class SynthOptions:
    """Everything that a picture depends on, beside its number.

    Attributes:
        people, photos: how many people, and photos of each.
        expressions: of facefit.synth.expressions.NAMED, or names of the model's; each photo has one of them.
        yaw: degrees, the largest.
        focal: shortest and longest focal length, mm of a 35 mm camera.
        size: side of a picture in pixels.
        hair, glasses, hands, masks: share of people with hair, and of photos with each thing.
        light: of facefit.synth.light.LIGHTS.
        noise: largest standard deviation of the sensor's noise, of 1.
        jpeg: lowest and highest quality, or None for PNG.
        mesh: of MESHES: "npz" keeps the vertices with the truth, "obj" writes a mesh beside it.
        model: name or file of a head model; None: the bundled one.
        seed: of everything random.
    """

    people: int = 100
    photos: int = 1
    expressions: tuple[str, ...] = ("any",)
    yaw: float = 45.0
    focal: tuple[float, float] = (26.0, 135.0)
    size: int = 256
    hair: float = 0.9
    glasses: float = 0.15
    hands: float = 0.1
    masks: float = 0.03
    light: str = "any"
    noise: float = 0.02
    jpeg: tuple[int, int] | None = None
    mesh: str = "none"
    model: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        accepted: dict[str, tuple[float, float]] = {
            "people": (1, 1_000_000), "photos": (1, 100), "yaw": (0, 90), "size": (64, 2048), "hair": (0, 1),
            "glasses": (0, 1), "hands": (0, 1), "masks": (0, 1), "noise": (0, 0.3), "seed": (0, 2**62),
        }  # fmt: skip
        for name, (low, high) in accepted.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted: {low} to {high}")
        for name, (low, high) in {"focal": (18, 300), "jpeg": (1, 95)}.items():
            value = getattr(self, name)
            if value is not None and not low <= value[0] <= value[1] <= high:
                raise ValueError(f"{name} is {value[0]}-{value[1]}; accepted: LOW-HIGH between {low} and {high}")
        for name, words in {"light": LIGHTS, "mesh": MESHES}.items():
            if getattr(self, name) not in words:
                raise ValueError(f"{name} is {getattr(self, name)!r}; accepted: {', '.join(words)}")
        if not self.expressions:
            raise ValueError("no expressions; expected one at least")

    @property
    def count(self) -> int:
        """Of pictures."""
        return self.people * self.photos

    def document(self) -> dict:
        """As JSON has it; all that decides the pictures but how many people there are: more can be added later."""
        return {name: value for name, value in asdict(self).items() if name != "people"}

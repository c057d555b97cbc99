"""The head models that facefit can read, and those that are installed: light enough to import for `--help`.

An installed model is one file NAME.npz (facefit.model.face_model) in the folder of `models_folder`, with NAME.png, the
picture of what was found on it, beside it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ModelError

FOLDER_VARIABLE = "FACEFIT_MODELS"  # overrides where installed models lie
BUNDLED = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


@dataclass(frozen=True)
class Download:
    """Files that the publisher's licence lets anyone fetch.

    Attributes:
        base: URL that the names are appended to. files: name -> checksum, `sha256:...` or `git:...` (the id of the blob
            in the publisher's repository).
        sums: a file in data/ with one `sha256  name` per line, for many files.
        target: the name that the reader is given: one of the files, or "" for their folder.
        megabytes: about how much.
    """

    base: str
    megabytes: int
    files: dict[str, str] = field(default_factory=dict)
    sums: str = ""
    target: str = ""


@dataclass(frozen=True)
class Kind:
    """A published model.

    Attributes:
        name: what the user types. title, license, home: of the publication.
        obtain: one line: what to get, where.
        size: vertices; components, in words.
        options: extra arguments of the reader (facefit.importers.read) that name further files.
        download: None where the licence asks everyone to register.
    """

    name: str
    title: str
    license: str
    home: str
    obtain: str
    vertices: str
    components: str
    options: tuple[str, ...] = ()
    download: Download | None = None


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "ict", "ICT-FaceKit Light", "MIT", "https://github.com/ICT-VGL/ICT-FaceKit",
            "the folder FaceXModel of the repository, or one .npz of it",
            "24,591", "100 identity, 53 ARKit shapes",
            download=Download(
                "https://raw.githubusercontent.com/ICT-VGL/ICT-FaceKit/da5f95a607f5e6b37755b38d3385d7f2853732e5/"
                "FaceXModel/", 395, sums="ict_facekit.sha256",
            ),
        ),
        Kind(
            "gnm", "GNM Head v3", "Apache-2.0", "https://github.com/google/GNM",
            "gnm_head.npz of the release",
            "17,821", "253 identity, 383 expression, joints",
            download=Download(
                "https://raw.githubusercontent.com/google/GNM/1b1056e71502385134b320a385acf7b8c097f3ff/"
                "gnm/shape/data/versions/v3_0/", 45,
                files={"gnm_head.npz": "git:c79c0c924d8e1b9cf6b333d13cbd8fe12248b673"}, target="gnm_head.npz",
            ),
        ),
        Kind(
            "flame", "FLAME 2020 / 2023 / 2023 Open", "FLAME licence; 2023 Open: CC BY 4.0",
            "https://flame.is.tue.mpg.de",
            "generic_model.pkl or flame2023*.pkl, after registration", "5,023",
            "300 identity, 100 expression, joints", options=("texture",),
        ),
        Kind(
            "bfm2009", "Basel Face Model 2009", "non-commercial, registration", "https://faces.dmi.unibas.ch/bfm",
            "a folder with 01_MorphableModel.mat, Exp_Pca.bin and the files of Deep3D", "35,709",
            "80 identity, 64 expression, albedo",
        ),
        Kind(
            "bfm", "Basel Face Model 2017 / 2019", "non-commercial, registration",
            "https://faces.dmi.unibas.ch/bfm",
            "model2017-1_bfm_nomouth.h5, model2019_fullHead.h5, or a face12 variant", "28,588 to 58,203",
            "199 identity, 100 expression, albedo",
        ),
        Kind(
            "faceverse", "FaceVerse v2 / v3", "research, by request", "https://github.com/LizhenWangT/FaceVerse",
            "faceverse_simple_v2.npy or faceverse_v3_6_s.npy",
            "28,632",
            "150 identity, 52 expression, albedo",
        ),
        Kind(
            "surrey", "Surrey Face Model (eos)", "non-commercial; shape only: free for research",
            "https://github.com/patrikhuber/eos",
            "sfm_shape_3448.bin of eos's share folder", "3,448", "63 identity, 6 expression",
            options=("expressions",),
        ),
        Kind(
            "generic", "a model of your own", "yours", "docs/own_model.md",
            "a folder with template.obj and blendshapes, or an .npz of bases", "any", "any",
            options=("blendshapes",),
        ),
        Kind(
            "decoder", "a network of your own", "yours", "docs/own_model.md",
            "an ONNX file that makes vertices of a code, with --with mesh=template.obj", "any", "any",
            options=("mesh", "blendshapes", "prior"),
        ),
    )
}  # fmt: skip


def models_folder() -> Path:
    """Where installed models lie: $FACEFIT_MODELS, or the user's data folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser()
    from platformdirs import user_data_path

    return user_data_path("facefit", appauthor=False) / "models"


def installed() -> dict[str, Path]:
    """Name -> model file of everything in the folder, by name."""
    folder = models_folder()
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in sorted(folder.glob("*.npz")) if _NAME.fullmatch(path.stem)}


def check_name(name: str) -> str:
    """The name, if a model may be installed under it.

    Raises:
        ModelError: it would be mistaken for a path, or is the bundled model's.
    """
    if not _NAME.fullmatch(name) or name.endswith(".npz"):
        raise ModelError(f"model name {name!r}; accepted: letters a to z, digits, dots, dashes, at most 40 characters")
    if name == BUNDLED:
        raise ModelError(f"model name {name!r} is the bundled model's; choose another with --as")
    return name


def resolve(name: str | os.PathLike) -> Path:
    """A path as it is, the name of an installed model as its file.

    Raises:
        ModelError: a name that is not installed, saying how it would be.
    """
    path, text = Path(name), str(name)
    if path.suffix or os.sep in text or path.is_file():  # a folder of that name may be the model's original
        return path
    known = installed()
    if text in known:
        return known[text]
    if text in KINDS:
        kind = KINDS[text]
        how = f"`facefit models add {text} --download`" if kind.download else f"`facefit models add {text} PATH`"
        raise ModelError(f"face model {text!r} is not installed; {how} ({kind.obtain})")
    names = ", ".join((BUNDLED, *known))
    raise ModelError(f"no face model {text!r}; installed: {names}; `facefit models list` shows what can be added")

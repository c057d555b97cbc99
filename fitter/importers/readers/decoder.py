"""A head model that is a network: an ONNX file that makes a template's vertices of a code. docs/own_model.md has more.

Nothing of the file is executed: it is read as data (facefit.files.read_onnx), and what its operators ask for is
computed by facefit.compute.network.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from ...compute.network import Graph, Network
from ...errors import ModelError
from ...files.read_obj import ObjMesh, read_obj
from ...files.read_onnx import read_onnx
from ...files.untrusted import array, read_bytes, read_npz, reading, sha256
from ...model.decoder import CODES, COLOURS, VERTS, Decoder, Prior, make_decoder
from ...model.source import SourceDecoder, SourceModel, eyeballs
from .own_files import about, activation, colours, delta, frame_of, laid_out, natural, part_hint, settings_of

KIND = "a network that makes a head (.onnx)"
APART = 40.0  # mm between the face at rest and the template, root mean square: heads differ by a tenth of it
LEAST = 1e-6  # of the largest variance: directions with less are none
_PRIOR = tuple(f"{code}_{what}" for code in CODES for what in ("mean", "std", "covariance"))


def read_decoder(
    path: Path, mesh: Path | None = None, blendshapes: Path | None = None, prior: Path | None = None
) -> SourceModel:
    """Read a network in the layout of docs/own_model.md.

    Args:
        path: the ONNX file. mesh: the OBJ file whose vertices it places, with a model.json beside it where needed.
        blendshapes: folder of the expressions of a network that has none.
        prior: an .npz with mean and covariance of the codes; without, they are standard normal.
    Raises:
        ModelError: a file is missing or damaged, the network is not as documented, or does not fit the mesh.
    """
    path = Path(path)
    with reading(path, KIND):
        if path.suffix.lower() != ".onnx":
            raise ModelError(f"a {path.suffix or 'nameless'} file; accepted: .onnx")
        if mesh is None:
            raise ModelError("the mesh whose vertices it places is missing; give it --with mesh=template.obj")
        template = read_obj(Path(mesh))
        settings = settings_of(Path(mesh).parent / "model.json", ("expression_names",))
        graph, data = read_onnx(path)
        networks = _networks(graph)
        priors = {} if prior is None else _priors(Path(prior))
        frame = frame_of(settings, template.verts)
        digest = hashlib.sha256(data + template.data)
        shapes = _shapes(blendshapes, template, digest) @ frame.astype(np.float32)
        sizes = _sizes(networks, priors, len(shapes))
        tensors = {code: Prior(torch.from_numpy(mean).float()[None], torch.from_numpy(root).float())
                   for code, (mean, root) in priors.items()}  # fmt: skip
        try:
            decoder = make_decoder(
                networks, torch.from_numpy(frame).float(), tensors, None, sizes, len(template.verts)
            )  # fmt: skip
        except ValueError as error:
            raise ModelError(str(error)) from None
        return _source(path, settings, template, frame, decoder, SourceDecoder(data, frame, priors), sizes, shapes,
                       blendshapes, digest.hexdigest())  # fmt: skip


def _networks(graph: Graph) -> tuple[Network, Network | None]:
    """Shape, and colours where there are any. Raises ModelError: what `Network` refuses."""
    try:
        return Network(graph, [VERTS]), (Network(graph, [COLOURS]) if COLOURS in graph.outputs else None)
    except ValueError as error:
        raise ModelError(str(error)) from None


def _source(
    path: Path, settings: dict, template: ObjMesh, frame: np.ndarray, decoder: Decoder, described: SourceDecoder,
    sizes: dict[str, int], shapes: np.ndarray, blendshapes: Path | None, digest: str,
) -> SourceModel:  # fmt: skip
    verts = decoder.rest.numpy()
    _check_place(verts, template.verts @ frame)
    identity, expression, active = sizes["identity"], sizes["expression"], activation(settings)
    if decoder.moves_face:
        units = torch.eye(expression)
        still = torch.zeros(1, identity)
        with torch.no_grad():
            ends = [decoder.offsets(still, row[None])[0] for row in units]
            other = [torch.zeros_like(ends[0]) if active else decoder.offsets(still, -row[None])[0] for row in units]
        shapes = torch.stack([a - b for a, b in zip(ends, other, strict=True)]).numpy() / (1 if active else 2)
        names = settings.get("expression_names", [f"expression{k:02d}" for k in range(expression)])
        if not isinstance(names, list) or len(names) != expression:
            raise ModelError(f"model.json: expression_names of {len(names)} for {expression} expressions")
    else:
        names = [file.stem for file in _files(blendshapes)]
    with torch.no_grad():
        rest = torch.zeros(1, expression)
        moved = [decoder.offsets(row[None], rest) - decoder.offsets(-row[None], rest) for row in torch.eye(identity)]
    faces, uv, uv_faces = laid_out(template, verts, settings)
    hint = part_hint(settings.get("parts", {}), template)
    mean, basis = _colours(template, decoder, sizes["albedo"])
    return SourceModel(
        **about(settings, path.stem, sha256(digest.encode())),
        verts=verts,
        faces=faces,
        identity_basis=torch.cat(moved).numpy() / 2,
        expression_basis=shapes,
        expression_names=tuple(str(name) for name in names),
        activation=active,
        albedo_mean=mean,
        albedo_basis=basis,
        uv=uv,
        uv_faces=uv_faces,
        eyeball=None if hint is None else eyeballs(hint),
        label_hint=hint,
        decoder=described,
    )


def _check_place(verts: np.ndarray, template: np.ndarray) -> None:
    """Vertices in another order or unit would make a hedgehog. Raises ModelError."""
    apart = (verts - verts.mean(0)) - (template - template.mean(0))
    distance = float(np.sqrt((apart**2).sum(1).mean()))
    if not distance < APART:
        raise ModelError(
            f"its face at rest lies {distance:.3g} mm from the template; expected the same vertices, order and unit"
        )


def _colours(template: ObjMesh, decoder: Decoder, count: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Mean and components of the network's colours at rest, or the template's mean."""
    if decoder.colours is None:
        return (None if template.colors is None else colours(template.colors)), None
    with torch.no_grad():
        mean = decoder.reflectance(torch.zeros(1, count))[0].numpy()
        rows = [decoder.reflectance(row[None]) - decoder.reflectance(-row[None]) for row in torch.eye(count)]
    if mean.min() < -0.1 or mean.max() > 1.1:
        raise ModelError(f"{COLOURS} runs from {mean.min():.3g} to {mean.max():.3g}; accepted: 0 to 1 (sRGB)")
    return np.clip(mean, 0, 1), torch.cat(rows).numpy() / 2


def _sizes(
    networks: tuple[Network, Network | None], priors: dict[str, tuple[np.ndarray, np.ndarray]], shapes: int
) -> dict[str, int]:
    """How long each code is: as the prior says, else as the network wants it."""
    inputs = networks[0].inputs | ({} if networks[1] is None else networks[1].inputs)
    if "expression" in inputs and shapes:
        raise ModelError("blendshapes for a network that has expressions of its own")
    stray = [name for name in priors if name not in inputs]
    if stray:
        raise ModelError(f"a prior of {stray[0]}, which is no input of the network")
    sizes = {name: len(priors[name][1]) if name in priors else (inputs.get(name) or (0,))[0] for name in CODES}
    return sizes if "expression" in inputs else sizes | {"expression": shapes}


def _files(blendshapes: Path | None) -> list[Path]:
    if blendshapes is None:
        return []
    if not Path(blendshapes).is_dir():
        raise ModelError(f"{blendshapes}: no such folder of blendshapes")
    return sorted(Path(blendshapes).glob("*.obj"), key=natural)


def _shapes(blendshapes: Path | None, template: ObjMesh, digest: hashlib._Hash) -> np.ndarray:
    """(E, V, 3) float32 in the template's unit and axes."""
    rows = [delta(file, template, digest) for file in _files(blendshapes)]
    return np.array(rows, np.float32).reshape(len(rows), len(template.verts), 3)


def _priors(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Code -> mean (M,) and root (K, M), the strongest direction first, of an .npz. Raises ModelError."""
    with reading(path, "a prior (.npz)"):
        read_bytes(path)
        data = read_npz(path, (), _PRIOR)
        found = {}
        for code in CODES:
            given = [name for name in _PRIOR if name.startswith(code) and name in data]
            if given:
                found[code] = _prior(code, data)
        if not found:
            raise ModelError(f"holds none of {', '.join(_PRIOR)}")
        return found


def _prior(code: str, data: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    names = mean_name, std_name, covariance_name = tuple(f"{code}_{what}" for what in ("mean", "std", "covariance"))
    if (std_name in data) == (covariance_name in data):
        raise ModelError(f"expected one of {std_name} and {covariance_name}")
    count = next(len(data[name]) if data[name].ndim else 0 for name in names if name in data)
    mean = array(data.get(mean_name, np.zeros(count)), (count,), mean_name).astype(np.float64)
    if std_name in data:
        root = np.diag(array(data[std_name], (count,), std_name).astype(np.float64))
        if not (np.diag(root) > 0).all():
            raise ModelError(f"{std_name} holds numbers that are not above 0")
    else:
        covariance = array(data[covariance_name], (count, count), covariance_name).astype(np.float64)
        uneven = np.abs(covariance - covariance.T).max(initial=0.0)
        if not (np.isfinite(covariance).all() and uneven <= 1e-4 * np.abs(covariance).max(initial=0.0)):
            raise ModelError(f"{covariance_name} is not symmetric")
        variance, axes = np.linalg.eigh((covariance + covariance.T) / 2)
        if variance.min() < -1e-4 * variance.max() or variance.max() <= 0:
            raise ModelError(f"{covariance_name} is no covariance: a variance of {variance.min():.3g}")
        kept = np.flatnonzero(variance > LEAST * variance.max())[::-1]
        root = (axes[:, kept] * np.sqrt(variance[kept])).T
    if not (np.isfinite(mean).all() and np.isfinite(root).all()):
        raise ModelError(f"the prior of {code} holds values that are not finite")
    return mean, root

"""Damaged files, and the commands that read them. Each area takes dice, a kit and an empty folder."""

from __future__ import annotations

import json
import random
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facefit.errors import FaceFitError
from facefit.files.read_mesh import read_mesh
from facefit.importers.read import read_published
from facefit.model.model_file import load_model
from facefit.observe.recognition import load_recognition
from facefit.output.stored_head import read_glb
from facefit.output.viewer import Page
from facefit.person.reference import read_reference

from . import originals
from .kit import Kit, facefit
from .mutate import mutated, mutated_json, mutated_npz, mutated_text, resized_png

READS = frozenset({0, 2, 3, 4, 5})  # a command that reads files and writes one result


@dataclass(frozen=True)
class Attack:
    """What is run, and what it may say.

    Attributes:
        run: in a worker process; returns the exit code.
        codes: that are right.
        outputs: files that a run with exit code 0 leaves; nothing else may stay in their folder, and after another
            code none of them. None: a batch, whose manifest tells.
    """

    run: Callable[[], int]
    codes: frozenset[int] = READS
    outputs: tuple[Path, ...] | None = ()


def pictures(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """A photo of any format, fitted."""
    known = originals.pictures()
    kind = dice.choice(sorted(known))
    suffix, data = known[kind]
    if suffix == ".png" and dice.random() < 0.3:
        data = resized_png(data, dice)
    else:
        data = mutated(data, dice, known[dice.choice(sorted(known))][1])
    if dice.random() < 0.1:
        suffix = known[dice.choice(sorted(known))][0]
    photo = folder / f"photo{suffix}"
    photo.write_bytes(data)
    return _fit(kit, folder, photo, *kit.options)


def labels(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """A picture of labels, as the parts of a photo."""
    given = originals.labels()
    data = resized_png(given, dice) if dice.random() < 0.4 else mutated(given, dice, originals.pictures()["gif"][1])
    (folder / "labels.png").write_bytes(data)
    photo = folder / "photo.png"
    photo.write_bytes(originals.pictures()["png transparent"][1])
    return _fit(kit, folder, photo, *kit.options, "--segmentation", folder / "labels.png")


def lists(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """A list of photos, as a batch."""
    suffix, data = dice.choice(sorted(originals.lists().items()))
    kit.lay(folder, "a.png")
    (folder / "sub").mkdir()
    kit.lay(folder / "sub", "b.png")
    given = folder / f"list{suffix}"
    given.write_bytes(mutated(data, dice) if suffix == ".parquet" else mutated_text(data, dice))
    return _batch(kit, given, folder / "out")


def manifests(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """What an earlier run of a batch has left, gone on with."""
    kit.lay(folder, "batch/photos", "batch/out")
    manifest = folder / "out/manifest.jsonl"
    lines = manifest.read_bytes().splitlines()
    at = dice.randrange(len(lines))
    lines[at] = mutated_json(lines[at], dice) if dice.random() < 0.7 else mutated(lines[at], dice, lines[0])
    manifest.write_bytes(b"\n".join(lines) + dice.choice((b"\n", b"")))
    if dice.random() < 0.2:
        manifest.write_bytes(mutated(manifest.read_bytes(), dice))
    return _batch(kit, folder / "photos", folder / "out", "--sheet", folder / "out/sheet.html", *_retried(dice))


def results(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """The JSON of a fit, begun with, converted, evaluated."""
    photo, result = kit.lay(folder, "a.png", "a/m.json")
    if dice.random() < 0.5:
        result.write_bytes(mutated_json(result.read_bytes(), dice))
    else:
        result.write_bytes(mutated(result.read_bytes(), dice))
    what = dice.choice(("--init", "--like", "convert", "again", "view", "landmarks", "compare"))
    if what.startswith("--"):
        return _fit(kit, folder, photo, *kit.options, what, result)
    if what in ("convert", "again"):  # in another model, or as another kind of file
        out = _results(folder)
        to = ("--to", kit / "other.npz", "--texture-size", "16") if what == "convert" else ()
        arguments = (*to, "--model", kit / "toy.npz", "-q")
        return Attack(lambda: facefit("convert", result, *arguments, "-o", out[0]), outputs=out)
    if what == "view":
        (folder / "out").mkdir()
        page = (folder / "out" / "m.html",)
        return Attack(lambda: facefit("view", result, "--model", kit / "toy.npz", "-o", page[0], "-q"), outputs=page)
    out = (folder / "out" / "numbers.json",)
    out[0].parent.mkdir()
    others = (kit / "a/m.json",) if what == "compare" else ()
    return Attack(lambda: facefit("eval", what, result, *others, "--json", out[0]), outputs=out)


def models(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """A face model, fitted or shown."""
    photo, model = kit.lay(folder, "a.png", "toy.npz")
    model.write_bytes(mutated_npz(model.read_bytes(), dice))
    return _fit(kit, folder, photo, *kit.options[:-2], "--model", model)


def points(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """Points in a photo that a fit is measured by."""
    suffix, data = dice.choice(sorted(originals.points().items()))
    (result,) = kit.lay(folder, "a/m.json")
    (folder / "points").mkdir()
    data = mutated_json(data, dice) if suffix == ".json" and dice.random() < 0.5 else mutated(data, dice)
    (folder / "points" / f"a{suffix}").write_bytes(data)
    out = (folder / "out" / "numbers.json",)
    out[0].parent.mkdir()
    arguments = ("--landmarks", folder / "points", "--model", kit / "toy.npz", "--json", out[0])
    return Attack(lambda: facefit("eval", "landmarks", result, *arguments), outputs=out)


def published(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """An original model (pickle, npy, npz), read by its reader."""
    kind, suffix, data = originals.published()[dice.choice(sorted(originals.published()))]
    path = folder / f"model{suffix}"
    path.write_bytes(mutated_npz(data, dice) if suffix == ".npz" else mutated(data, dice))
    return Attack(lambda: _read(lambda: read_published(kind, path)), frozenset({0, 5}))


def decoders(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """A network that makes a head, read by its reader."""
    network, template = originals.decoder()
    path, mesh = folder / "net.onnx", folder / "template.obj"
    path.write_bytes(mutated(network, dice))
    mesh.write_text(template)
    return Attack(lambda: _read(lambda: read_published("decoder", path, mesh=mesh)), frozenset({0, 5}))


def networks(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """A face parser, applied."""
    name = dice.choice(("small", "small", "facefit", "detector"))
    path, photo, out = folder / "parser.onnx", folder / "photo.png", (folder / "out" / "parts.png",)
    path.write_bytes(mutated(originals.networks()[name], dice, originals.networks()["small"]))
    photo.write_bytes(originals.pictures()["png"][1])
    out[0].parent.mkdir()
    return Attack(lambda: facefit("parse", photo, "--segmentation", path, "-o", out[0], "-q"), outputs=out)


def recognition(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """A face recognition network, read and shown a grey picture."""
    path = folder / "faces.onnx"
    path.write_bytes(mutated(originals.recognition(), dice))
    return Attack(lambda: _read(lambda: load_recognition(path)), frozenset({0, 5}))


def meshes(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """A mesh or scan, read."""
    suffix, data = dice.choice(sorted(originals.meshes().items()))
    path = folder / f"scan{suffix}"
    path.write_bytes(mutated_npz(data, dice) if suffix == ".npz" else mutated(data, dice))
    return Attack(lambda: _read(lambda: read_mesh(path)), frozenset({0, 4}))


def clips(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """A CSV of weights, counted from rest."""
    path, out = folder / "take.csv", (folder / "out" / "again.csv",)
    out[0].parent.mkdir()
    given = originals.clip()
    path.write_bytes(mutated_text(given, dice) if dice.random() < 0.5 else mutated(given, dice))
    return Attack(lambda: facefit("retarget", path, "-o", out[0], "-q"), outputs=out)


def pages(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """A page, or the GLB that becomes one, read back."""
    glb = originals.meshes()[".glb"]
    suffix, data = dice.choice(((".glb", glb), (".html", Page("a head", glb).html())))
    path = folder / f"head{suffix}"
    path.write_bytes(mutated(data, dice))
    return Attack(lambda: _read(lambda: read_glb(path)), frozenset({0, 4}))


def people(dice: random.Random, kit: Kit, folder: Path) -> Attack:
    """The JSON of a person of several photos, whom others are told from."""
    model, path = load_model(kit / "toy.npz"), folder / "ann.json"
    document = {
        "format": "facefit-person", "format_version": 1, "mesh": {"file": "ann.glb"}, "photos": [],
        "model": {"name": "toy", "version": "1", "checksum": model.checksum, "sizes": model.sizes},
        **{name: [0.5] * model.sizes[name] for name in ("identity", "albedo")},
    }  # fmt: skip
    given = json.dumps(document).encode()
    path.write_bytes(mutated_json(given, dice) if dice.random() < 0.5 else mutated(given, dice))
    return Attack(lambda: _read(lambda: read_reference(path).load(model)), frozenset({0, 4}))


# name -> what is attacked, and how many of 2,000 inputs it gets
INPUTS: dict[str, tuple[Callable[[random.Random, Kit, Path], Attack], int]] = {
    "pictures": (pictures, 500), "label pictures": (labels, 150), "lists": (lists, 200), "manifests": (manifests, 200),
    "results": (results, 250), "models": (models, 200), "points": (points, 150), "published models": (published, 200),
    "decoders": (decoders, 100), "networks": (networks, 100), "recognition networks": (recognition, 60),
    "meshes": (meshes, 150), "clips": (clips, 100), "pages": (pages, 50), "people": (people, 50),
}  # fmt: skip


def _results(folder: Path) -> tuple[Path, ...]:
    (folder / "out").mkdir()
    return tuple(folder / "out" / name for name in ("m.obj", "m.mtl", "m_texture.png", "m.json"))


def _fit(kit: Kit, folder: Path, photo: Path, *options: object) -> Attack:
    out = _results(folder)
    return Attack(lambda: facefit("fit", photo, "-o", out[0], *options, "-q"), outputs=out)


def _batch(kit: Kit, source: Path, out: Path, *options: object) -> Attack:
    command = ("batch", source, "-o", out, "--workers", "0", *kit.options, *options, "-q")
    return Attack(lambda: facefit(*command), frozenset({0, 2, 4, 7}), None)


def _retried(dice: random.Random) -> tuple[str, ...]:
    return dice.choice(((), (), ("--retry-failed",), ("--overwrite",)))


def _read(read: Callable[[], object]) -> int:
    """As the command line would tell what a reader says; what is no error of facefit's shows where it came from."""
    try:
        read()
    except FaceFitError as error:
        print("facefit: error:", error, file=sys.stderr)
        return int(error.exit_code)
    except Exception:
        traceback.print_exc()
        return 1
    return 0

"""What the commands that fit have in common: options, checks before anything heavy is loaded, loading the rest."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

import click

from ..errors import OutputError
from ..vocabulary import (
    DENSE_SUFFIXES,
    DENSEST,
    DETAIL_SUFFIXES,
    MESH_SUFFIXES,
    PRESETS,
    RENDERERS,
    SEGMENTERS,
    SPACES,
    TEXTURES,
    UNITS,
)

# numba raises RuntimeError with these words where neither the package's folder nor the user's cache can be written
NO_CACHE, CACHE_FIX = "cannot cache function", "set NUMBA_CACHE_DIR to a folder of yours"


def file_options(command: Callable) -> Callable:
    """How meshes are written, common to all commands that write them."""
    options = [
        click.option("--units", type=click.Choice(UNITS), default="mm", show_default=True,
                     help="Of the numbers in .obj and .ply; .glb is always in metres."),
    ]  # fmt: skip
    command = glb_options(command)
    for option in reversed(options):
        command = option(command)
    return command


def _numbers_or_bones(context: click.Context, option: click.Parameter, value: bool) -> bool:
    """Whichever of the two is read last sees the other."""
    if value and any(context.params.get(name) for name in ("quantize", "bones")):
        raise click.UsageError("--quantize and --bones do not go together: a GLB has whole numbers or bones")
    return value


def glb_options(command: Callable) -> Callable:
    """How a GLB is written, common to all commands that write one."""
    options = [
        click.option("--quantize", is_flag=True, callback=_numbers_or_bones,
                     help="GLB with whole numbers (KHR_mesh_quantization): half the bytes, 2 micrometres off."),
        click.option("--bones", is_flag=True, callback=_numbers_or_bones,
                     help="GLB with a skin: bones Head, RightEye and LeftEye, for a rig."),
        click.option("--jpeg", is_flag=True, help="GLB with its texture as JPEG."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def detail_options(command: Callable) -> Callable:
    """The surface beyond the mesh, of one photo; common to `fit` and `batch`. Checked by `check_detail_options`."""
    options = [
        click.option("--detail", is_flag=True,
                     help="What shading tells: a normal map on the mesh, NAME_displacement.png beside it."),
        click.option("--exr", is_flag=True, help="With --detail: also NAME_displacement.exr, millimetres."),
        click.option("--subdivide", type=click.IntRange(0, DENSEST), default=0, metavar=f"0..{DENSEST}",
                     show_default=True, help="With --detail: so often each triangle of an .obj or .glb becomes four."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def check_detail_options(options: dict, output: Path) -> None:
    """Raises UsageError for what does not go together, OutputError for a mesh that cannot hold it and for a library
    which is not here."""
    for name, given in (("--exr", options["exr"]), ("--subdivide", options["subdivide"])):
        if given and not options["detail"]:
            raise click.UsageError(f"{name} is a way to write --detail; give that too")
    suffix = output.suffix.lower()
    if options["detail"] and suffix not in DETAIL_SUFFIXES:
        raise click.UsageError(
            f"--detail: a {suffix} has no texture coordinates; accepted: {', '.join(DETAIL_SUFFIXES)}"
        )
    if options["subdivide"] and suffix not in DENSE_SUFFIXES:
        raise click.UsageError(f"--subdivide: not for a {suffix}; accepted: {', '.join(DENSE_SUFFIXES)}")
    if options["exr"] and importlib.util.find_spec("OpenEXR") is None:
        raise OutputError("an .exr is written by OpenEXR, which is not here: pip install 'facefit[exr]'")


def shared_options(command: Callable) -> Callable:
    """What `fit` and `batch` have in common; the first of the list is the first in the help."""
    options: list[Callable] = [
        click.option("--faces", default="largest", metavar="largest|all|N", show_default=True, callback=check_faces,
                     help="Which faces: the largest, all (each file gets _1, _2, ... from the largest), or the N-th."),
        click.option("--focal", type=click.FloatRange(min=0, min_open=True), metavar="PX",
                     help="Focal length in photo pixels. Without it: --fov, EXIF, or a portrait lens."),
        click.option("--fov", type=click.FloatRange(0.1, 170), metavar="DEGREES",
                     help="Field of view across the width."),
        click.option("--preset", type=click.Choice(PRESETS), default="default", show_default=True,
                     help="Set of tuning values; `paper` has the weights of the PRDL paper."),
        click.option("--energies", metavar="LIST", help="Comma list of the energies to use, e.g. landmark,prdl."),
        click.option("--iterations", type=click.IntRange(min=1), metavar="N", help="Most iterations of the full fit."),
        click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), metavar="S",
                     help="Stop after this time."),
        click.option("--renderer", type=click.Choice(RENDERERS), default="auto", show_default=True, help="Rasteriser."),
        click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda",
                     help="Where tensors live."),
        click.option("--segmentation", default="auto", show_default=True, metavar="auto|color|polygons|FILE",
                     help="auto (facefit's face parser), color (landmarks and this photo's colours), polygons "
                          "(landmarks alone), another face parser (.onnx), or a picture of labels (.png)."),
        click.option("--label-map", default="auto", show_default=True, metavar="NAME",
                     help="What the numbers of a parser or picture mean, e.g. celebamask19."),
        click.option("--space", type=click.Choice(SPACES), default="model", show_default=True,
                     help="Mesh upright and facing +z, or as the camera sees it."),
        click.option("--texture-size", type=click.IntRange(16, 8192), default=1024, show_default=True, metavar="PX",
                     help="Side of the texture in pixels."),
        click.option("--texture", type=click.Choice(TEXTURES), default="photo", show_default=True,
                     help="What the mesh carries: the photo as it is, or the skin's colour without its light."),
        file_options,
        click.option("--model", type=click.Path(), metavar="NAME|FILE",
                     help="Another face model: one of `facefit models list`, or a model file (.npz)."),
        click.option("--perceptual", type=click.Path(), metavar="FILE",
                     help="A face recognition network of your own (.onnx, as ArcFace's): the render shall look like "
                          "the photo to it."),
        click.option("-q", "--quiet", is_flag=True, help="Print errors only."),
        click.option("-v", "--verbose", is_flag=True, help="Log what happens."),
        click.option("--debug", is_flag=True, help="Log everything; show tracebacks."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def check_faces(context: click.Context, option: click.Parameter, value: str) -> str:
    """A callback of click: largest, all, or a number, in lower case. Raises BadParameter."""
    value = value.strip().lower()
    if value not in ("largest", "all") and not (value.isdecimal() and int(value) >= 1):
        raise click.BadParameter(f"{value!r}; accepted: largest, all, or a number from 1")
    return value


def start(options: dict) -> None:
    """Checks that need no library, and logging."""
    if options["focal"] is not None and options["fov"] is not None:
        raise click.UsageError("--focal and --fov are two names of one thing; give one of them")
    for path in input_files(options):
        if Path(path).suffix and not path.is_file():
            raise click.UsageError(f"{path}: no such file")
    level = logging.DEBUG if options["debug"] else logging.INFO if options["verbose"] else logging.ERROR
    logging.basicConfig(format="facefit: %(levelname)s %(name)s: %(message)s", level=logging.WARNING, force=True)
    logging.getLogger("facefit").setLevel(level)
    if level > logging.INFO:
        import warnings

        warnings.simplefilter("ignore")  # of libraries, to developers


def check_person(options: dict) -> None:
    """Raises UsageError for options of one photo that a person of several does not have."""
    if options["faces"] == "all":
        raise click.UsageError(
            "--faces all: a person has one face in each photo; accepted: largest, or a number from 1"
        )
    if options["space"] == "camera":
        raise click.UsageError("--space camera belongs to one photo; a person's head is written in model space")


def check_mesh_suffix(output: Path) -> None:
    """Raises UsageError for the name of no mesh, OutputError for one that needs a library which is not here."""
    if output.suffix.lower() not in MESH_SUFFIXES:
        accepted = ", ".join(MESH_SUFFIXES)
        raise click.UsageError(f"-o {output}: unknown mesh format {output.suffix!r}; accepted: {accepted}")
    check_library(output.suffix)


def check_library(suffix: str) -> None:
    """Raises OutputError when files of this suffix need a library which is not here, before anything is fitted."""
    if suffix.lower() == ".usdz" and importlib.util.find_spec("pxr") is None:
        raise OutputError("a .usdz is written by usd-core, which is not here: pip install 'facefit[usd]'")


def input_files(options: dict) -> tuple[Path, ...]:
    """Files that the options name and that no output may overwrite."""
    named = (options["model"], options["segmentation"], options["perceptual"])
    return tuple(Path(name) for name in named if name not in (None, *SEGMENTERS))


def job_options(options: dict):
    """What of the command line decides a fit, as a value that travels to other processes."""
    from ..job.options import JobOptions

    energies = options["energies"]
    named = {name: options[name] for name in JobOptions.__dataclass_fields__ if name in options}
    named["energies"] = None if energies is None else tuple(n.strip() for n in energies.split(",") if n.strip())
    return JobOptions(**named)


def load(options: dict):
    """The Job: everything that stays the same from photo to photo."""
    from ..job.job import load_job

    try:
        return load_job(job_options(options))
    except ValueError as error:
        raise click.UsageError(str(error)) from None

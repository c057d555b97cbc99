"""`make check-wheel`: what somebody gets who installs the wheel, in an environment of its own and outside the checkout.

    python tests/wheel/check.py FOLDER

An editable install with all extras hides what a user stumbles over: a dependency that nobody declared, a file that no
package holds, a module that only a checkout has. So this builds the source distribution, the wheel out of that one,
installs it without extras, and works with it in an empty folder; every file that is written is read back.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SOURCE, DATA = ROOT / "fitter", ROOT / "data"
NOT_OURS = {"cli", "fitter", "tests", "benchmarks", "training", "fuzz"}  # of a checkout, or somebody else's
ONCE_NEEDED = {"mediapipe": "mediapipe", "cv2": "opencv"}  # module -> how the requirement begins, while there is one

# Run by the installed facefit: a head that the importers can annotate, with next to no components.
WRITE_TINY = """
import sys
import numpy as np
from facefit import load_model

head = load_model()
np.savez(
    sys.argv[1], verts=head.verts.numpy(), faces=head.faces.numpy(), uv=head.uv.numpy(),
    uv_faces=head.uv_faces.numpy(), identity_basis=head.identity_basis[:2].numpy(),
    expression_basis=head.expression_basis[:2].numpy(), expression_names=np.array(head.expression_names[:2]),
    eyeball=head.eyeball.numpy(), name="tiny", unit="mm",
    label_hint=np.where(head.vertex_label.numpy() == 9, 9, 0),
)
"""

# `facefit`, but the head is looked at from a few sides only: the whole set takes minutes.
FEW_LOOKS = """
import facefit.importers.install as install
from facefit.commands import main

every = install.neutral_looks
install.neutral_looks = lambda verts, opened, colours: [
    look for look in every(verts, opened, colours[:1]) if abs(look[1]["yaw"]) <= 10 and look[1]["pitch"] <= 0
][:7]
main()
"""

READ_BACK = """
import sys, facefit
from facefit.output.read_back import find_fits, load_scene

for name in facefit.__all__:
    getattr(facefit, name)
(fit,) = find_fits([sys.argv[1]])
verts = load_scene(fit, facefit.load_model()).verts_in("model")
assert verts.shape == (18513, 3), verts.shape
print(facefit.__file__)
"""


class Place:
    """An empty folder, and the programs of the environment that work there."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        self.variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.variables |= {"FACEFIT_MODELS": str(folder / "models"), "PYTHONNOUSERSITE": "1"}

    def run(self, program: str, *arguments: object) -> str:
        """What it says on stdout; leaves this program with what it said on stderr when it fails."""
        began = time.perf_counter()
        command = [str(self.programs / program), *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, env=self.variables, capture_output=True, text=True)
        shown = " ".join([program, *(str(a) if "\n" not in str(a) else "..." for a in arguments)])
        if done.returncode != 0:
            sys.exit(f"check-wheel: {shown}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        print(f"{time.perf_counter() - began:6.1f} s  {shown}", flush=True)
        return done.stdout

    def facefit(self, *arguments: object) -> str:
        return self.run("facefit", *arguments)


def build(folder: Path) -> Path:
    """The wheel, out of the source distribution, so that leftovers of earlier builds stay out of it."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"check-wheel: {' '.join(command)}\n{done.stdout}{done.stderr}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> list[str]:
    """The wheel holds the package's files and the data, and nothing else; the names of what it requires."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (described,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        about = Parser().parsestr(archive.read(described).decode())
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "fitter", "data"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    present = [name for name in listed if name and (ROOT / name).is_file()]
    wanted = {f"facefit/{name.removeprefix('fitter/')}" for name in present}
    if names != wanted:
        sys.exit(f"check-wheel: too much in the wheel: {sorted(names - wanted)}; missing: {sorted(wanted - names)}")
    return [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]


def install(folder: Path, wheel: Path) -> Path:
    """A new environment with the wheel and what it requires; its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run(
        [programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--constraint", ROOT / "constraints.txt", wheel],
        check=True, cwd=folder,
    )  # fmt: skip
    return programs


def check_modules(place: Place, required: list[str]) -> None:
    """What is not ours, or is not required any more, cannot be imported."""
    gone = [name for name, begins in ONCE_NEEDED.items() if not any(line.startswith(begins) for line in required)]
    names = sorted(NOT_OURS) + gone
    code = f"import importlib.util as u; print(*[n for n in {names} if u.find_spec(n) is not None])"
    if found := place.run("python", "-I", "-c", code).split():
        sys.exit(f"check-wheel: can be imported and should not: {', '.join(found)}")


def portrait(path: Path) -> None:
    """The astronaut that scikit-image ships (Eileen Collins, NASA, public domain)."""
    from skimage.data import astronaut

    Image.fromarray(astronaut()).save(path)


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def vertices(path: Path) -> np.ndarray:
    """Of an OBJ, (V, 3)."""
    lines = [line.split()[1:4] for line in path.read_text().splitlines() if line.startswith("v ")]
    return np.array(lines, float)


def same(what: str, found: object, expected: object) -> None:
    if found != expected:
        sys.exit(f"check-wheel: {what} is {found!r}; expected {expected!r}")


def true(what: str, holds: bool) -> None:
    if not holds:
        sys.exit(f"check-wheel: not so: {what}")


def check_fit(place: Place) -> None:
    """One photo, with pictures, read back by the library."""
    portrait(place.folder / "astronaut.png")
    place.facefit("astronaut.png", "-o", "mesh.obj", "--overlay", "overlay.png", "--labels", "labels.png")
    same("shape of mesh.obj", vertices(place.folder / "mesh.obj").shape, (18513, 3))
    document = read_json(place.folder / "mesh.json")
    true("landmark error of the astronaut below 3 %", document["landmark_error"] < 0.03)
    same("version in mesh.json", document["versions"]["facefit"], document_version(place))
    labels = np.asarray(Image.open(place.folder / "labels.png"))
    same("size of labels.png", labels.shape, (512, 512))
    true("labels.png names all parts", set(range(1, 9)) <= set(np.unique(labels).tolist()))
    true("overlay.png shows something", np.asarray(Image.open(place.folder / "overlay.png")).std() > 10)
    where = Path(place.run("python", "-c", READ_BACK, "mesh.json").strip())
    true(f"facefit is taken from the environment, not from {where}", place.programs.parent in where.parents)
    true("compiled kernels are kept beside the code", any(where.parent.rglob("*.nbi")))


def document_version(place: Place) -> str:
    return place.facefit("--version").split()[-1]


def check_batch(place: Place) -> None:
    """Worker processes, the manifest, the contact sheet."""
    (place.folder / "photos").mkdir()
    for name in ("one.png", "two.png"):
        shutil.copy(place.folder / "astronaut.png", place.folder / "photos" / name)
    place.facefit("batch", "photos", "-o", "meshes", "--workers", 2, "--iterations", 3, "--sheet", "sheet.html")
    lines = (place.folder / "meshes" / "manifest.jsonl").read_text().splitlines()
    same("photos in the manifest", {json.loads(line)["photo"]: json.loads(line)["status"] for line in lines},
         {"one.png": "done", "two.png": "done"})  # fmt: skip
    true("the sheet links the meshes", "meshes/one.obj" in (place.folder / "sheet.html").read_text())


def check_models(place: Place) -> None:
    """A model of one's own is added, listed, and converted to."""
    place.run("python", "-c", WRITE_TINY, "tiny.npz")
    place.run("python", "-c", FEW_LOOKS, "models", "add", "generic", "tiny.npz", "--as", "tiny", "--renders", 0)
    listed = json.loads(place.facefit("models", "list", "--json"))["installed"]
    same("components of tiny", [listed["tiny"]["counts"][name] for name in ("identity", "expression")], [2, 2])
    true("models/tiny.png shows something", np.asarray(Image.open(place.folder / "models" / "tiny.png")).std() > 10)
    place.facefit("view", "mesh.json")
    page = (place.folder / "mesh.html").read_text()
    true("the page of the fit has head, photo and script", all(part in page for part in ("H4sI", "jpeg;base64", "MIT")))
    place.facefit("convert", "mesh.json", "--to", "tiny", "-o", "tiny.obj")
    same("model of tiny.json", read_json(place.folder / "tiny.json")["model"]["name"], "tiny")
    there, back = vertices(place.folder / "mesh.obj"), vertices(place.folder / "tiny.obj")
    true("the converted face lies over the fitted one", float(np.abs(there.mean(0) - back.mean(0)).max()) < 10)
    place.facefit("retarget", "mesh.json", "--rig", "mesh.obj", "-o", "moved.glb", "--csv", "moved.csv")
    same("lines of moved.csv", len((place.folder / "moved.csv").read_text().splitlines()), 2)


def check_measures(place: Place) -> None:
    """Parts of the photo, and how well the fit covers them."""
    (place.folder / "parts").mkdir()
    place.facefit("parse", "astronaut.png", "-o", "parts/astronaut.png", "--json", "parts.json")
    same("size of the parts", Image.open(place.folder / "parts" / "astronaut.png").size, (512, 512))
    true("there is a nose", read_json(place.folder / "parts.json")["shares"]["nose"] > 0.001)
    place.facefit("eval", "parts", "mesh.json", "--labels", "parts", "--json", "iou.json")
    (row,) = read_json(place.folder / "iou.json")["fits"]
    true(f"the fitted nose covers the parsed one: {row}", row["part_iou"]["nose"] > 0.5)
    np.savetxt(place.folder / "points.txt", read_json(place.folder / "mesh.json")["landmarks7"])
    place.facefit("eval", "scan", "mesh.obj", "tiny.obj", "--landmarks", "points.txt", "--json", "scan.json")
    figures = read_json(place.folder / "scan.json")["rigid"]
    true(f"the fitted and the converted face are near each other: {figures}", figures["median"] < 2)


def main() -> None:
    """Build, install, use."""
    folder = Path(sys.argv[1]).resolve()
    began = time.perf_counter()
    wheel = build(folder / "dist")
    required = check_contents(wheel)
    programs = install(folder / "venv", wheel)
    print(f"{time.perf_counter() - began:6.1f} s  {wheel.name} is built and installed without extras", flush=True)
    with tempfile.TemporaryDirectory(prefix="facefit-") as empty:
        place = Place(Path(empty), programs)
        check_modules(place, required)
        check_fit(place)
        check_batch(place)
        check_models(place)
        check_measures(place)
        said = place.facefit("doctor")
        true(f"doctor says that all is well:\n{said}", said.rstrip().endswith("all is well"))
    print(f"{time.perf_counter() - began:6.1f} s  all of it: the wheel works", flush=True)


if __name__ == "__main__":
    main()

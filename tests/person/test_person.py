"""A person from made photos: what is shared, who is left out, and the files."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.gltf_reader import Glb
from helpers.rendered_face import person, photograph, together
from helpers.viewer_page import about
from PIL import Image

from facefit.detail.refine import displaced_model, neutral_verts, refine_surface, wrinkle_moves
from facefit.detail.shared_surface import SharedSurface
from facefit.detail.trust import Trust
from facefit.detail.wrinkles import GroupTest, Wrinkle
from facefit.errors import FitError, InputError, NoFaceError
from facefit.fit.config import FitConfig, override
from facefit.fit.descent import fit_observed
from facefit.fit.instruments import Instruments
from facefit.observe.faces import DetectedFace
from facefit.observe.observe import observe
from facefit.observe.segment.load import load_segmenter
from facefit.output.document import result_json
from facefit.output.style import FileStyle
from facefit.person.descent import descend_together
from facefit.person.files import PersonFiles, neutral_result, person_contents, stems
from facefit.person.person import PersonFitter
from facefit.person.photos import PersonPhoto
from facefit.person.sharing import Sharing
from facefit.render import load_renderer
from facefit.rig.heads import read_head

SIDE, COUNT = 96, 3
WRINKLE = Wrinkle(("mouthSmileLeft",), np.array([40, 41]), np.array([[0.5, -0.25]]))


class Detector:
    """Knows the landmarks of each picture."""

    def __init__(self, pictures, landmarks):
        self.known = {picture.tobytes(): points for picture, points in zip(pictures, landmarks, strict=True)}

    def detect(self, pixels):
        points = self.known.get(pixels.tobytes())
        return [] if points is None else [DetectedFace(points.astype(np.float32), np.zeros(478, np.float32), 0.9)]


@pytest.fixture(scope="module")
def model(toy_model):
    return replace(toy_model, expression_names=("jawOpen", "mouthSmileLeft", "browInnerUp"))


@pytest.fixture(scope="module")
def album(model):
    """Three photos of one person, each in another light."""
    truth = together(*(person(model, seed=3, yaw=20.0 * (k - 1), jawOpen=0.2 * k) for k in range(COUNT)))
    sh = truth.sh.clone()
    sh[:, 3] = torch.tensor([-0.5, 0.1, 0.5])[:, None]  # from the right, the front and the left
    return photograph(model, replace(truth, sh=sh), SIDE).observation


@pytest.fixture(scope="module")
def photos(album):
    pictures = (album.image.numpy() * 255).astype(np.uint8)
    found = [PersonPhoto(f"{k}.png", f"{k}.png", picture) for k, picture in enumerate(pictures)]
    return [found[0], PersonPhoto("dark.png", "dark.png", np.zeros((SIDE, SIDE, 3), np.uint8)), *found[1:]]


@pytest.fixture(scope="module")
def fitter(model, photos, album):
    pictures = [photo.frame for photo in photos if photo.name != "dark.png"]
    instruments = Instruments(
        model=model, detector=Detector(pictures, album.landmarks.numpy()), renderer=load_renderer("cpu"),
        segmenter=load_segmenter("polygons"), config=override(replace(FitConfig(), window=SIDE), iterations=3),
    )  # fmt: skip
    return PersonFitter(instruments, focal=1015.0 / 224 * SIDE)


@pytest.fixture(scope="module")
def fitted(fitter, photos):
    return fitter.fit(photos)


def test_identity_and_albedo_are_common_and_the_rest_is_each_photos_own(fitted):
    value = fitted.parameters
    assert [member.photo.name for member in fitted.members] == ["0.png", "1.png", "2.png"]
    for name in ("identity", "albedo"):
        assert torch.equal(getattr(value, name)[0], getattr(value, name)[2]), name
    assert value.rotvec[0, 1] < value.rotvec[1, 1] < value.rotvec[2, 1]
    assert not torch.equal(value.sh[0], value.sh[1])
    assert fitted.best.photo.name == "1.png"
    assert all(member.result.landmark_error < 0.05 for member in fitted.members)


def test_a_photo_without_a_face_is_named_and_left_out(fitted, fitter, photos):
    (left,) = fitted.left_out
    assert left.name == "dark.png" and "face" in left.reason
    with pytest.raises(NoFaceError, match=r"none of 1 photos.*dark\.png"):
        fitter.fit(photos[1:2])


def test_one_photo_is_what_a_single_fit_is(fitter, photos):
    alone = fitter.fit(photos[:1])
    picture = photos[0].read()
    (face,) = fitter.instruments.detector.detect(picture.pixels)
    seen = observe(picture, face, fitter.instruments.segmenter, SIDE, fitter.focal)
    (single,) = fit_observed(seen, fitter.instruments, photo=picture)
    for name, value in single.parameters.tensors().items():
        assert torch.equal(getattr(alone.members[0].result.parameters, name), value), name
    assert alone.surface is None and alone.members[0].result.model is single.model
    whole = alone.members[0].whole()
    assert np.array_equal(whole.photo, single.photo) and torch.equal(whole.observation.valid, single.observation.valid)


def test_a_surface_that_no_pixel_tells_of_stays(fitted, model):
    """Polygons are too unsure of every pixel."""
    assert fitted.surface.trust.share is None and not fitted.surface.displacement.any()
    assert fitted.members[0].result.model is model


def test_the_surface_moves_every_photos_mesh_alike(fitted, model, monkeypatch):
    """This person's is flat: what the shading tells of it is made a hundred times larger."""
    monkeypatch.setattr("facefit.detail.refine.amplitude", lambda *_: 100.0)
    sure = list(_sure(fitted))
    surface = refine_surface(sure)
    assert surface.trust.photos == 3 and surface.amplitude == 100 and np.abs(surface.displacement).max() > 0.1
    own = displaced_model(model, neutral_verts(sure[0]), surface.displacement)
    moved = (own.verts - model.verts).norm(dim=1).numpy()
    np.testing.assert_allclose(moved, np.abs(surface.displacement), atol=1e-4)


def test_the_surface_is_multiplied_by_what_is_believed_of_it(fitted, monkeypatch):
    """By lights and by held-out photos."""
    lights = Trust(photos=3, residual=0.1, diversity=0.0, share=0.0)
    found = SharedSurface(np.array(0.5), *[np.zeros(0)] * 4)  # half a millimetre everywhere
    told = {"trust": lights, "registered": [], "amplitude": 0.8, "solve_surface": found, "told_apart": (None, (), {})}
    for name, value in told.items():
        monkeypatch.setattr(f"facefit.detail.refine.{name}", lambda *_, value=value: value)
    displacement = refine_surface(_sure(fitted)).displacement
    assert np.unique(displacement[displacement != 0]) == pytest.approx([0.5 * 0.8 * lights.believed])


def _sure(fitted):
    """The fits, every pixel of whose photos is the person's."""
    for member in fitted.members:
        whole = member.whole()
        yield replace(whole, observation=replace(whole.observation, valid=torch.ones(1, SIDE, SIDE)))


def test_the_energy_falls_and_one_lens_is_one_factor(model, fitter, fitted, album):
    start = Sharing().shared(fitted.parameters)
    start = replace(start, translation=start.translation + torch.tensor([3.0, 0.0, 0.0]))  # to have somewhere to fall
    sums, sharing = [], Sharing(one_lens=True)
    found = descend_together(
        album, start, model, fitter.instruments.renderer, override(fitter.instruments.config, iterations=2),
        sharing, torch.tensor([True, True, False]), lambda step, steps, terms: sums.append(sum(terms.values())),
    )  # fmt: skip
    assert len(sums) == 3 and sum(float(value.sum()) for value in found.energies.values()) == pytest.approx(min(sums))
    assert sums[-1] == min(sums) < sums[0]
    factor = found.camera.focal / album.camera.focal
    assert torch.equal(factor[0], factor[1]) and factor[0, 0] != 1 and (factor[2] == 1).all()


def test_the_files_hold_the_head_its_expressions_and_every_photo(fitted, tmp_path):
    files = PersonFiles(
        tmp_path / "ann.glb", sheet=tmp_path / "sheet.png", style=FileStyle(texture_size=16),
        shapes=lambda model, neutral: 2 * model.expression_basis.double().numpy(),
    )  # fmt: skip
    surface = replace(fitted.surface, wrinkles=(WRINKLE,), tests={"smile": GroupTest((0.1, 0.9), 0.7, 0.2, 1.0)})
    two = replace(fitted, members=fitted.members[:2], surface=surface)
    contents = person_contents(two, files)
    assert set(contents) == set(files.all(["0.png", "1.png"]))
    glb = Glb(contents[tmp_path / "ann.glb"])
    own = fitted.model
    assert glb.document["meshes"][0]["extras"]["targetNames"] == list(own.expression_names)
    document = json.loads(contents[tmp_path / "ann.json"])
    assert document["format"] == "facefit-person" and document["model"]["license"] == own.license
    assert document["displacement"] == [] and document["surface"]["photos"] == 0
    assert document["surface"]["wrinkles"]["smile"] == {
        "strength": [0.1, 0.9], "amplitude": 0.7, "gain": 0.2, "better": 1.0, "why": ""
    }  # fmt: skip
    moves = wrinkle_moves(own, neutral_verts(fitted.members[0].result), [WRINKLE])
    moved = neutral_result(two, files.shapes).model.expression_basis - 2 * own.expression_basis
    np.testing.assert_allclose(moved, moves, atol=1e-5)
    (tmp_path / "ann.json").write_bytes(contents[tmp_path / "ann.json"])
    np.testing.assert_allclose(read_head(tmp_path / "ann.json").moves(own), moves, atol=1e-5)  # a rig has them, too
    assert [photo["name"] for photo in document["photos"]] == ["0.png", "1.png"]
    (left,) = document["left_out"]
    assert left["name"] == "dark.png" and left["reason"].startswith("no face found")
    sheet = Image.open(io.BytesIO(contents[tmp_path / "sheet.png"]))
    assert sheet.size == (6 * 192, 2 * 192)


@pytest.mark.parametrize(
    "wrinkle, told",
    [
        (
            {"vertices": [1, 2], "height": {"jawOpen": [0.1]}},
            "wrinkles: height of jawOpen has 1 numbers for 2",
        ),
        ({"vertices": [1], "height": {"grin": [0.1]}}, "wrinkles of 'grin', an expression that the model lacks"),
        ({"vertices": [-1], "height": {"jawOpen": [0.1]}}, "wrinkles of vertices beyond the model's 289"),
        ({"vertices": [289], "height": {"jawOpen": [0.1]}}, "wrinkles of vertices beyond the model's 289"),
        ({"vertices": [1], "height": [0.1]}, "height"),
    ],
)
def test_damaged_wrinkles_are_refused(fitted, model, tmp_path, wrinkle, told):
    head = {"format": "facefit-person", "format_version": 1, "mesh": {"file": "a.glb"}, "wrinkles": [wrinkle]}
    head["model"] = result_json(fitted.members[0].result, "a.glb")["model"]
    (tmp_path / "a.json").write_text(json.dumps(head | {"identity": [0.0] * model.sizes["identity"]}))
    with pytest.raises(InputError, match=told):
        read_head(tmp_path / "a.json").moves(model)


def test_a_page_has_its_photo_with_its_expression_under_its_camera(fitted, tmp_path):
    second = replace(fitted, members=fitted.members[1:2])  # one is enough, and its texture is no blend
    contents = person_contents(second, PersonFiles(tmp_path / "ann.html", style=FileStyle(texture_size=16)))
    shots = about(contents[tmp_path / "ann.html"])["photos"]
    assert [shot["name"] for shot in shots] == ["01_1"]
    for shot, member in zip(shots, second.members, strict=True):
        assert list(shot["weights"].values()) == member.result.parameters.expression[0].tolist()
        np.testing.assert_allclose(shot["camera"]["t"], member.result.scene.pose()[1])


def test_one_lens_is_one_focal_length_whatever_single_fits_took(fitter, photos):
    large = np.pad(photos[-1].frame, ((0, SIDE), (0, SIDE), (0, 0)), mode="edge")
    detector = replace(fitter.instruments).detector
    detector.known[large.tobytes()] = detector.known[photos[-1].frame.tobytes()]
    album = [photos[0], replace(photos[-1], frame=large)]
    sharing = Sharing(one_lens=True)
    found = replace(fitter, focal=None, sharing=sharing, detail=False).fit(album)
    first, second = (float(member.result.camera.focal[0, 0]) for member in found.members)
    assert second == pytest.approx(2 * first, rel=1e-4)  # twice the diagonal
    given = replace(fitter, focal=300.0, sharing=sharing, detail=False).fit(album[:1] * 2)
    assert [float(member.result.camera.focal[0, 0]) for member in given.members] == [300.0, 300.0]


def test_names_of_files_tell_photos_of_one_name_apart():
    several = PersonFiles(Path("o.obj"), Path("p"), Path("m")).all(["front.jpg"])
    assert [str(path) for path in several[-3:]] == ["p/01_front_overlay.png", "m/01_front.glb", "m/01_front.json"]
    assert stems(["a/front.jpg", "b/front.jpg", "clip.mp4#12"]) == ["01_front", "02_front", "03_clip"]


def test_a_photo_that_changes_meanwhile_is_noticed(fitted):
    member = fitted.members[0]
    other = replace(member, photo=replace(member.photo, frame=member.photo.frame[:50]))
    with pytest.raises(FitError, match="changed"):
        other.whole()

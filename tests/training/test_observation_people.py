"""People for the dense observation: skins without light, the same places on every head, crops with their truth."""

import numpy as np
import pytest
import torch

from facefit.anatomy.landmarks import LIPS_INNER
from facefit.anatomy.parts import LABEL
from facefit.geometry.camera import Camera
from facefit.observe.dense import load_points
from facefit.observe.dense_surface import dense_crop, guess_maps, landmark_surface
from facefit.observe.face_networks import load_face_networks
from facefit.observe.segment.face_crops import Crop
from facefit.synth.photograph import photograph
from training.observation import rendered, scans
from training.observation.people import MOST, varied_person
from training.observation.places import definition, edges_between, on_own
from training.observation.samples import prepared
from training.observation.skins import skin_ratio


@pytest.fixture(scope="module")
def own(open_head):
    return open_head


@pytest.fixture(scope="module")
def people(own, default_model):
    """Three of them as they are stored."""
    studio = rendered.Studio(own, on_own(), np.ones((2, len(own.verts), 4), np.float32))
    mesh = load_face_networks().mesh
    made = [rendered.render_person(studio, np.random.default_rng((3, number)), mesh) for number in range(4)]
    return [person for person in made if person is not None][:3]


def test_a_skin_is_what_differs_from_its_surroundings(default_model):
    colours = np.full((len(default_model.verts), 3), 0.5)
    colours *= 1 + 0.004 * default_model.verts.numpy()[:, :1]  # light from one side
    dark = int(load_points().vertices[100])
    colours[dark] *= 0.4
    ratio = skin_ratio(default_model, colours, np.ones(len(colours)))
    face = load_points().vertices
    others = np.setdiff1d(face, [dark])
    assert ratio[dark, 0] < 0.5
    left = np.abs(ratio[others, 0] - 1)
    assert np.median(left) < 0.03 and colours[others, 0].std() > 0.05  # what the light did is gone


def test_what_a_photo_hides_is_taken_from_the_other_side(default_model):
    verts, mirror = default_model.verts.numpy(), default_model.symmetry.numpy()
    weight = (verts[:, 0] > 0).astype(float)
    colours = np.where(weight[:, None] > 0, 0.5, 9.0) * np.ones((1, 3))
    spot = int(load_points().vertices[np.argmax(verts[load_points().vertices, 0])])
    colours[spot] = 0.3
    ratio = skin_ratio(default_model, colours, weight)
    assert ratio[mirror[spot], 3] > 0.9 and ratio[spot, 3] > 0.9
    assert ratio[mirror[spot], 0] == pytest.approx(ratio[spot, 0], rel=0.1) and ratio[mirror[spot], 0] < 0.8


def test_people_are_as_different_as_real_ones_and_within_bounds(own):
    drawn = [varied_person(own, np.random.default_rng(seed)).identity for seed in range(40)]
    spread = (np.stack(drawn) ** 2).mean()
    assert 1.1 < spread < 2.5 and np.abs(drawn).max() <= MOST


def test_points_lie_evenly_on_the_face_and_none_on_an_eyeball(default_model):
    index = load_points().vertices
    assert 400 < len(index) <= 520 and not default_model.eyeball.numpy()[index].any()
    places = on_own()
    np.testing.assert_array_equal(places.of(default_model.verts.numpy()), default_model.verts.numpy()[index])


def test_the_bundled_points_are_of_this_head(default_model):
    """With edges that cross no slit: lips and lids touch on the mean face, and move apart."""
    bundled = load_points()
    np.testing.assert_array_equal(edges_between(default_model, bundled.vertices), bundled.edges)
    fresh = definition(default_model)
    assert np.isin(fresh.vertices, bundled.vertices).mean() > 0.9  # chosen anew they would be nearly the same
    assert np.abs(fresh.surface.canonical - bundled.surface.canonical).mean() < 0.02
    lips = default_model.landmarks(default_model.verts[None])[0, list(LIPS_INNER)].numpy()
    ends = default_model.verts.numpy()[bundled.vertices[bundled.edges]]
    near = (np.abs(ends[..., 0] - lips[:, 0].mean()) < 0.4 * np.ptp(lips[:, 0])).all(1)
    above = ends[..., 1] > lips[:, 1].mean()
    assert near.sum() > 50 and not (near & (above[:, 0] != above[:, 1])).any()


def test_a_person_is_stored_with_the_truth_under_its_pixels(people, default_model, own):
    """Points lie where the landmarks are that they are next to on the mean face; normals face as a face does."""
    index = load_points().vertices
    landmarks = default_model.landmarks(default_model.verts[None])[0].numpy()
    nearest = np.linalg.norm(landmarks[None, :468] - default_model.verts.numpy()[index][:, None], axis=2)
    same = np.argwhere(nearest < 1.5)
    for person in people:
        away = np.linalg.norm(person["points"][same[:, 0], :2] - person["landmarks"][same[:, 1], :2], axis=1)
        assert np.median(away) < 6  # of 144 pixels: the detector's error and the model's bias
        depth = default_model.verts.numpy()[index][:, 2]
        assert np.corrcoef(person["points"][:, 2], depth)[0, 1] > 0.5  # the nose lies before the cheeks
        face = np.isin(person["labels"], (1, 2))
        assert person["normals"][face][:, 2].mean() > 60  # it faces the viewer
        right = person["normals"][..., 0].astype(float)
        column = np.nonzero(face)[1]
        middle = np.median(column)
        assert right[face][column > middle + 8].mean() > right[face][column < middle - 8].mean() + 20
        assert len(person["identity"]) == len(own.identity)


def test_real_skin_takes_the_place_of_paint(own):
    def face(ratio: float, known: float) -> np.ndarray:
        skin = np.concatenate([np.full((len(own.verts), 3), ratio), np.full((len(own.verts), 1), known)], 1)
        shot = photograph(own, np.random.default_rng(1), 96, skin=skin.astype(np.float32))
        return shot.image[shot.labels == LABEL["nose"]]

    painted = face(0.5, 0)
    assert face(0.4, 1).mean() < 0.75 * face(1, 1).mean()
    assert face(1, 1).std(0).mean() < painted.std(0).mean()  # nothing but light is left of a uniform skin
    np.testing.assert_array_equal(face(1, 0), painted)


def test_the_same_seed_gives_the_same_person(people, own, default_model):
    studio = rendered.Studio(own, on_own(), np.ones((2, len(own.verts), 4), np.float32))
    again = rendered.render_person(studio, np.random.default_rng((3, 0)), load_face_networks().mesh)
    for name, value in again.items():
        np.testing.assert_array_equal(value, people[0][name])


def test_normals_turn_with_the_picture():
    """What faces up in the photo faces right in a crop turned by 90 degrees, and what faces right faces down."""
    landmarks = np.random.default_rng(0).normal(0, 1, (478, 2))
    landmarks[10], landmarks[152] = (-30, 0), (30, 0)  # the forehead lies to the left
    crop = dense_crop(landmarks)
    along = crop.matrix[:, :2] / np.sqrt(np.linalg.det(crop.matrix[:, :2]))
    photo = np.zeros((3, 1, 2))
    photo[1, 0, 0], photo[0, 0, 1] = 0.5, 0.5
    turned = rendered.turned_normals(photo, along)[:, 0]
    np.testing.assert_allclose(turned, np.array([[1, 0, 0], [0, -1, 0]]).T, atol=1e-9)


def test_the_landmarks_surface_knows_where_it_is(default_model):
    mean = default_model.landmarks(default_model.verts[None])[0].numpy().astype(np.float64)
    points = mean[[1, 50, 280]]
    about = landmark_surface(mean, points)
    pixels = np.stack([64 + 0.4 * mean[:, 0], 64 - 0.4 * mean[:, 1], -0.4 * mean[:, 2]], 1)[None].astype(np.float32)
    np.testing.assert_allclose(about.guess(pixels)[0], pixels[0, [1, 50, 280]], atol=1e-3)
    maps = guess_maps(about, pixels, 128, 64)[0]
    column, row = (pixels[0, 50, :2] / 2).astype(int)
    assert maps[6, row, column] == 1 and maps[6, 0, 0] == 0
    np.testing.assert_allclose(maps[:3, row, column], about.canonical[50], atol=0.04)
    column, row = (pixels[0, 1, :2] / 2).astype(int)
    assert maps[5, row, column] > 0.7  # the tip of the nose faces the viewer
    right, left = (maps[3, *(pixels[0, cheek, 1::-1] / 2).astype(int)] for cheek in (50, 280))
    assert right < -0.2 and left > 0.2  # the cheeks face aside
    with pytest.raises(ValueError, match="1 points lie beyond the landmarks"):
        landmark_surface(mean, mean[:1] + 500)


def test_stored_people_become_samples(people):
    rows = {name: np.stack([person[name] for person in people]) for name in people[0]}
    rows |= {"head": np.zeros(len(people)), "millimetres": rows["camera"][:, 2]}
    samples = prepared(rows, np.ones((len(people), 72, 72), bool), load_points().surface)
    assert len(samples[np.array([0, 2])]) == 2
    # where the landmarks have the points and where they are: a few millimetres apart
    away = np.linalg.norm((samples.start - samples.points)[samples.facing][:, :2], axis=1) * np.median(
        samples.millimetres
    )
    assert np.median(away) < 8
    depths = samples.start[..., 2].ravel(), samples.points[..., 2].ravel()
    assert np.corrcoef(*depths)[0, 1] > 0.8  # both towards the viewer
    covered = samples.guess[:, 6] > 120
    assert 0.1 < covered.mean() < 0.5


def test_a_scan_is_drawn_where_its_camera_has_it():
    """A square plate that faces the viewer a little from the left."""
    plate = np.array([[-40, -40, -800], [40, -40, -820], [40, 40, -820], [-40, 40, -800]], float)
    mesh = scans.Mesh(plate, np.array([[0, 1, 2], [0, 2, 3]]), np.ones(4, np.float32))
    camera = Camera(torch.full((1, 2), 500.0), torch.full((1, 2), 72.0))
    crop = Crop(np.array([[1.0, 0, 0], [0, 1, 0]]), 144)
    normals, region = scans.maps_of(mesh, camera, crop, 144)
    assert region[36, 36] and not region[2, 2]
    np.testing.assert_allclose(normals[36, 36], np.array([20, 0, 80]) / np.hypot(20, 80), atol=1e-3)
    points, millimetres = scans.points_of(plate, camera, crop, np.ones(4, bool))
    assert millimetres == pytest.approx(810 / 500)
    np.testing.assert_allclose(points[0], [72 - 25, 72 + 25, 10 / millimetres], rtol=1e-6)


def test_shards_that_are_there_are_not_rendered_again(tmp_path):
    for number in range(2):
        (tmp_path / f"shard_{number:04d}.npz").touch()
    missing = tmp_path / "ict_facekit.npz"
    assert len(rendered.render_shards(tmp_path, missing, tmp_path / "skins.npy", 2)) == 2

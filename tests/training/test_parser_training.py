"""Training of the parser: labels refined by hand-made meshes, examples, losses, a run of a few steps, the export."""

import numpy as np
import pytest
import torch

from facefit.anatomy.parts import LABEL
from facefit.observe.detector import load_detector
from facefit.observe.segment.face_crops import CHANNELS, CLASSES, DETAIL_SIDE, FACE_SIDE
from training.parser.augment import CLASS_OF_LABEL, MIRROR_LABEL, NONE, Augmentation, disturbed, example
from training.parser.network import Parser
from training.parser.photos import BROWS, EYES, HAIR, MOUTH, NOSE, SKIN, mesh_labels, nearest, refine
from training.parser.samples import IGNORE, Samples, concatenate
from training.parser.train import Schedule, part_loss, torch_networks, train

L = LABEL


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Two windows of a portrait, labelled skin within, background without."""
    photo = pytest.importorskip("skimage.data").astronaut()
    landmarks = load_detector().detect(photo)[0].landmarks
    image, points = photo[:384, 60:444], landmarks - (60, 0)
    labels = np.zeros((384, 384), np.uint8)
    low, high = points.min(0).astype(int), points.max(0).astype(int)
    labels[low[1] : high[1], low[0] : high[0]] = L["skin"]
    return Samples(
        images=np.stack([image, image]), labels=np.stack([labels, labels]),
        landmarks=np.stack([points, points]).astype(np.float32), sources=np.array(["v3", "rendered"]),
        people=np.array(["01", ""]), names=np.array(["a", "b"]), yaw=np.zeros(2, np.float32),
    )  # fmt: skip


def test_nearest_takes_the_closest_accepted_label():
    mesh = np.zeros((1, 9), np.uint8)
    mesh[0, 0], mesh[0, 4], mesh[0, 8] = L["upper_lip"], L["skin"], L["lower_lip"]
    seen = nearest(mesh, ("upper_lip", "lower_lip"))
    assert seen[0, :4].tolist() == [L["upper_lip"]] * 4 and seen[0, 5:].tolist() == [L["lower_lip"]] * 4
    assert not nearest(mesh, ("hair",)).any()


def test_the_hand_draws_the_border_and_the_mesh_names_the_part():
    mesh = np.zeros((8, 8), np.uint8)
    mesh[0], mesh[1], mesh[2], mesh[3] = L["upper_lip"], L["mouth_inside"], L["lower_lip"], L["skin"]
    mesh[4, :4], mesh[4, 4:], mesh[5], mesh[6] = L["right_eye"], L["left_eye"], L["ear"], L["neck"]
    hand = np.full((8, 8), SKIN, np.uint8)
    hand[0:3], hand[4, 2:6], hand[7, :2], hand[7, 2:4], hand[7, 7] = MOUTH, EYES, 0, HAIR, IGNORE
    hand[3, 0] = NOSE
    landmarks = np.zeros((478, 2)) - 100  # far away: no brow near
    labels = refine(hand, mesh, landmarks, brows=True)
    assert labels[0, 0] == L["upper_lip"] and labels[1, 0] == L["mouth_inside"] and labels[2, 0] == L["lower_lip"]
    assert labels[3, 0] == L["nose"] and labels[3, 1] == L["skin"]
    assert labels[4, 2] == L["right_eye"] and labels[4, 5] == L["left_eye"] and labels[4, 0] == L["skin"]
    assert (labels[5] == L["ear"]).all() and (labels[6] == L["neck"]).all()
    assert labels[7, 0] == L["background"] and labels[7, 2] == L["hair"] and labels[7, 7] == IGNORE


def test_brows_that_nobody_labelled_say_nothing():
    landmarks = np.zeros((478, 2))
    landmarks[:] = (60, 60)
    from facefit.anatomy.landmarks import RIGHT_BROW

    landmarks[list(RIGHT_BROW)] = np.array([(8 + k, 20 + 6 * (k % 2)) for k in range(len(RIGHT_BROW))])
    hand = np.full((64, 64), SKIN, np.uint8)
    mesh = np.full((64, 64), L["skin"], np.uint8)
    assert (refine(hand, mesh, landmarks, brows=False)[21:25, 10:16] == IGNORE).all()
    assert (refine(hand, mesh, landmarks, brows=True)[21:25, 10:16] == L["skin"]).all()
    hand[21:25, 10:16] = BROWS
    mesh[22, 12] = L["right_brow"]
    assert (refine(hand, mesh, landmarks, brows=True)[21:25, 10:16] == L["right_brow"]).all()


def test_ears_and_neck_of_the_mean_head():
    from facefit.model.model_file import load_model

    model = load_model()
    label, verts = mesh_labels(model), model.verts.numpy()
    ears, neck = verts[label == L["ear"]], verts[label == L["neck"]]
    assert len(ears) > 300 and (np.abs(ears[:, 0]) > 69).all() and abs(ears[:, 0].mean()) < 1
    assert len(neck) > 50 and (neck[:, 1] < -90).all()
    face = model.vertex_label.numpy() != L["head"]
    np.testing.assert_array_equal(label[face], model.vertex_label.numpy()[face])


def test_mirrored_labels_swap_sides():
    assert MIRROR_LABEL[L["right_eye"]] == L["left_eye"] and MIRROR_LABEL[L["skin"]] == L["skin"]
    assert MIRROR_LABEL[IGNORE] == IGNORE
    assert CLASS_OF_LABEL[L["head"]] == IGNORE and CLASS_OF_LABEL[L["hair"]] == CLASSES.index("hair")


def test_an_example_is_a_look_at_the_window(samples):
    rng = np.random.default_rng(0)
    face, truth, details, fine = example(samples.images[0], samples.labels[0], samples.landmarks[0], rng, NONE)
    assert face.shape == (CHANNELS, FACE_SIDE, FACE_SIDE) and truth.shape == (FACE_SIDE, FACE_SIDE)
    assert details.shape == (2, CHANNELS, DETAIL_SIDE, DETAIL_SIDE) and fine.shape == (2, DETAIL_SIDE, DETAIL_SIDE)
    assert truth[FACE_SIDE // 2, FACE_SIDE // 2] == CLASSES.index("skin")
    assert (fine == CLASSES.index("skin")).mean() > 0.8
    aside = samples.landmarks[0] + (250, 0)  # then the crop reaches beyond the window
    assert IGNORE in example(samples.images[0], samples.labels[0], aside, rng, NONE)[1]


def test_examples_hang_on_their_number_alone(samples):
    def draw(number):
        rng = np.random.default_rng([0, number])
        return example(samples.images[0], samples.labels[0], samples.landmarks[0], rng, Augmentation())

    first, second, other = draw(3), draw(3), draw(4)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], other[0])
    assert all(np.isfinite(part).all() for part in first)


def test_disturbed_landmarks_stay_near(samples):
    landmarks = samples.landmarks[0]
    height = np.hypot(*(landmarks[10] - landmarks[152]))
    rng = np.random.default_rng(0)
    moved = np.stack([disturbed(landmarks, rng, Augmentation()) - landmarks for _ in range(20)])
    distance = np.linalg.norm(moved, axis=-1) / height
    assert 0.005 < distance.mean() < 0.05 and distance.max() < 0.25


def test_loss_is_least_for_the_truth_and_blind_to_the_unlabelled():
    truth = torch.zeros(1, 8, 8, dtype=torch.long)
    truth[0, 2:4] = CLASSES.index("upper_lip")
    right = torch.nn.functional.one_hot(truth, len(CLASSES)).permute(0, 3, 1, 2).float() * 20
    wrong = right.roll(1, 1)
    assert part_loss(right, truth, 0.5) < 0.02 < 1 < part_loss(wrong, truth, 0.5)
    unlabelled = truth.clone()
    unlabelled[0, 6:] = IGNORE
    changed = right.clone()
    changed[0, :, 6:] = wrong[0, :, 6:]
    torch.testing.assert_close(part_loss(changed, unlabelled, 0.5), part_loss(right, unlabelled, 0.5))


def test_a_few_steps_learn_and_are_the_same_again(samples):
    schedule = Schedule(steps=3, batch=2, average=0.5)
    first, second = (train(samples, schedule, NONE, workers=0) for _ in range(2))
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    torch.manual_seed(schedule.seed)
    fresh = Parser().eval()
    face, truth, _, _ = example(samples.images[0], samples.labels[0], samples.landmarks[0],
                                np.random.default_rng(0), NONE)  # fmt: skip
    given, wanted = torch.from_numpy(face)[None], torch.from_numpy(truth).long()[None]
    with torch.no_grad():
        before, after = (float(part_loss(net.face(given), wanted, 0.0)) for net in (fresh, first))
    assert after < before


def test_samples_survive_their_file(samples, tmp_path):
    path = tmp_path / "samples.npz"
    both = concatenate([samples, samples[np.array([1])]])
    both.save(path)
    again = Samples.load(path)
    assert len(again) == 3 and again.sources.tolist() == ["v3", "rendered", "rendered"]
    np.testing.assert_array_equal(again.labels, both.labels)
    assert [p.name for p in tmp_path.iterdir()] == ["samples.npz"]


def test_the_exported_file_answers_as_the_networks(tmp_path):
    pytest.importorskip("onnx")
    from facefit.observe.segment.face_parser import is_parser, load_networks
    from training.parser.export import export

    torch.manual_seed(0)
    parser = Parser().eval()
    for module in parser.modules():  # normalisations that do something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    path = tmp_path / "parser.onnx"
    assert export(parser, path) < 0.02  # 16 bits of weight
    assert is_parser(path) and path.stat().st_size < 2**21
    rng = np.random.default_rng(0)
    face = rng.normal(size=(2, CHANNELS, FACE_SIDE, FACE_SIDE)).astype(np.float32)
    detail = rng.normal(size=(6, CHANNELS, DETAIL_SIDE, DETAIL_SIDE)).astype(np.float32)
    for a, b in zip(load_networks(path)(face, detail), torch_networks(parser)(face, detail), strict=True):
        np.testing.assert_allclose(a, b, atol=0.03)
        np.testing.assert_allclose(a.sum(1), 1, atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["parser.onnx"]

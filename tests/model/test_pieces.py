"""Which triangles are skin, eyes, teeth and tongue."""

import numpy as np
from helpers.toy_model import toy_arrays, with_pieces

from facefit.model.model_file import from_arrays
from facefit.model.pieces import PIECES, face_pieces


def test_a_toys_pieces():
    model = from_arrays(with_pieces(toy_arrays()))
    found = face_pieces(model)
    skin = len(toy_arrays()["faces"])
    assert (found[:skin] == 0).all()
    assert [PIECES[number] for number in found[skin::16]] == ["eyes", "eyes", "teeth", "tongue"]


def test_a_mask_is_skin(toy_model):
    assert not face_pieces(toy_model).any()


def test_one_tooth_is_no_tongue():
    """Where each tooth is a piece of its own, the inner ones reach to the middle of the head."""
    arrays = with_pieces(toy_arrays())
    tongue = slice(len(arrays["verts"]) - 18, None)
    arrays["verts"][tongue, 0] = np.abs(arrays["verts"][tongue, 0])
    assert PIECES[face_pieces(from_arrays(arrays))[-1]] == "teeth"


def test_the_bundled_heads_tongue_is_what_tongue_out_moves(default_model):
    piece = face_pieces(default_model)
    faces = default_model.faces.numpy()
    out = default_model.expression_basis[default_model.expression_names.index("tongueOut")].numpy()
    reach = [np.abs(out[faces[piece == number]]).max() for number in range(len(PIECES))]
    assert np.argmax(reach) == PIECES.index("tongue") and reach[PIECES.index("teeth")] < 12 < max(reach)
    ball = default_model.eyeball.numpy()[faces[:, 0]] > 0
    np.testing.assert_array_equal(piece == PIECES.index("eyes"), ball)
    assert np.bincount(piece).tolist()[2] == 2 * 336  # two rows of 14 teeth, three columns each, four rows of quads

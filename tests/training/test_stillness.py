"""Who kept still: sessions are what they are called, pictures repeat, and what is printed counts them."""

from dataclasses import replace

import numpy as np
import pytest

from facefit.person.stillness import MOVEMENTS
from training import stillness
from training.stillness import MOVES, ROOM, Session, added, chosen, sitter, told


def test_a_movement_is_added_to_both_sides_and_ends_at_one():
    names = ("mouthSmileLeft", "mouthSmileRight", "jawOpen", "browInnerUp")
    found = added(names, {"jawOpen": 0.3, "mouthSmileLeft": 0.8}, {"mouthSmile": 1.0, "cheekSquint": 0.5}, 0.5)
    assert found == {"jawOpen": 0.3, "mouthSmileLeft": 1.0, "mouthSmileRight": 0.5}
    assert added(names, {}, {"browInnerUp": 0.5}, 0.5) == {"browInnerUp": 0.25}


def test_sessions_are_what_they_are_called():
    keys = [("still", 0.0, view) for view in range(len(ROOM))]
    keys += [(kind, amount, view) for kind, (_, amounts) in MOVES.items() for view in (2, 5) for amount in amounts]
    keys += [("another", 1.0, view) for view in range(4)]
    drawn = list(chosen(keys, np.random.default_rng(0)))
    for kind, amount, photos in drawn:
        views = [view for _, _, view in photos]
        assert len(photos) >= 3 and (len(set(views)) == len(views))  # no view twice, as moved and as still
        moved = [photo for photo in photos if photo[0] != "still"]
        wanted = 0 if kind == "still" else len(photos) if kind == "another" else 2 if kind.endswith("both") else 1
        assert len(moved) == wanted and all(photo[1] == amount for photo in moved)
        assert all(photo[0] == kind.removesuffix(", both") for photo in moved)
    assert {kind for kind, _, _ in drawn} == {"still", "another", *MOVES, *(f"{kind}, both" for kind in MOVES)}


def test_a_view_of_somebody_is_the_same_again_but_for_what_moves(open_head, monkeypatch):
    monkeypatch.setattr(stillness, "SIDE", 64)
    one = replace(sitter((open_head,), 3, 0), held={})
    still, focal, truth = one.photo(1, {})
    again, _, same = one.photo(1, {})
    np.testing.assert_array_equal(still, again)
    opened, other_focal, moved = one.photo(1, {"jawOpen": 0.6})
    assert focal == other_focal and (still != opened).any() and still.shape == (64, 64, 3)
    apart = np.linalg.norm((moved - moved[152]) - (truth - truth[152]), axis=1)  # 152 is the chin
    assert apart[1] > 0.5 > np.abs(same - truth).max()


def test_what_is_printed_counts_them(capsys):
    calm = dict.fromkeys(MOVEMENTS, 0.01)
    sessions = [Session("a", "still", 0.0, 3, True, calm), Session("a", "still", 0.0, 5, False, calm | {"jaw": 0.2}),
                Session("a", "jaw", 0.3, 3, False, calm | {"jaw": 0.1})]  # fmt: skip
    lines = list(told(sessions))
    assert any(line.startswith("jaw: of who kept still 50% 0.105") and "100% 0.200" in line for line in lines)
    assert "still 0: 1 of 2 count as still (1.00 of 3 photos, 0.00 of 5 photos)" in lines
    assert lines[-1] == "jaw 0.3: 0 of 1 count as still (0.00 of 3 photos)"
    with pytest.raises(SystemExit):
        stillness.main([])
    assert "--ict" in capsys.readouterr().err

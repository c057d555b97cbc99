"""JSON as values of known types: what is accepted, and how what is not is named."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

import pytest

from facefit.errors import InputError
from facefit.files.schema import build, parse, read_text


class Loose(TypedDict, total=False):
    size: int
    note: str | None


@dataclass(frozen=True)
class Point:
    at: tuple[float, float]
    kind: Literal["dot", "cross"] = "dot"


@dataclass(frozen=True)
class Page:
    title: str
    points: list[Point]
    shares: dict[str, float | None] = field(default_factory=dict)
    loose: Annotated[dict, Loose] = field(default_factory=dict)
    number: int | str = 0
    steps: tuple[int, ...] = ()
    more: Any = None


def page(**values):
    return build(Page, {"title": "t", "points": [], **values}, "f")


def test_values_of_the_right_types():
    made = page(
        points=[{"at": [1, 2.5]}, {"at": [0, 0], "kind": "cross", "of another version": 1}], shares={"a": None, "b": 1},
        loose={"size": 3, "kept": [1]}, number="seven", steps=[1, 2], more={"any": [None, True]}, unknown=1,
    )  # fmt: skip
    assert made.points == [Point((1.0, 2.5)), Point((0.0, 0.0), "cross")] and isinstance(made.points[0].at[0], float)
    assert made.shares == {"a": None, "b": 1.0} and made.loose == {"size": 3, "kept": [1]} and made.number == "seven"
    assert made.steps == (1, 2) and made.more == {"any": [None, True]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"title": 3}, "f: title: is 3; expected a text"),
        ({"points": {}}, "f: points: is an object; expected a list"),
        ({"points": [{"at": [1, 2]}, {}]}, "f: points[1]: lacks at"),
        ({"points": [{"at": [1, "x"]}]}, 'f: points[0].at[1]: is "x"; expected a number'),
        ({"points": [{"at": [1, True]}]}, "f: points[0].at[1]: is true; expected a number"),
        ({"points": [{"at": [1]}]}, "f: points[0].at: a list of 1; expected 2"),
        ({"points": [{"at": [1, 2], "kind": "star"}]}, "f: points[0].kind: is \"star\"; expected 'dot' or 'cross'"),
        ({"points": [{"at": [1, 2], "kind": ["dot"]}]}, "f: points[0].kind: is a list; expected 'dot' or 'cross'"),
        ({"shares": {"a b": "x"}}, "f: shares.'a b': is \"x\"; expected a number"),
        ({"loose": {"size": 1.0}}, "f: loose.size: is 1.0; expected a whole number"),
        ({"loose": {"note": 1}}, "f: loose.note: is 1; expected a text"),
        ({"number": None}, "f: number: is null; expected a text"),
        ({"title": ["x" * 99]}, "f: title: is a list; expected a text"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    with pytest.raises(InputError) as told:
        page(**values)
    assert str(told.value) == message


def test_long_values_are_cut():
    with pytest.raises(InputError) as told:
        page(points="x" * 9999)
    assert len(str(told.value)) < 100


@pytest.mark.parametrize(
    "text", ["NaN", "[-Infinity]", "1e400", "9" * 30, "9" * 9000, "[" * 33 + "]" * 33, "{", "", b"\xff"]
)
def test_what_is_no_json_of_ours(text):
    with pytest.raises(InputError, match="^where: "):
        parse(text, "where")


def test_what_is():
    assert parse("[" * 32 + "]" * 32, "f") and parse("[1, 2.5, -9223372036854775807, true]", "f")[1] == 2.5
    assert parse("[NaN]", "f", strict=False)


def test_files_that_cannot_be_read(tmp_path):
    for path, words in ((tmp_path / "none.json", "no such file"), (tmp_path, "not a regular file")):
        with pytest.raises(InputError, match=words):
            read_text(path)

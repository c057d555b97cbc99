"""Good files made bad: bits turned, ends cut off, pieces moved, sizes that lie. The same dice give the same bytes."""

from __future__ import annotations

import copy
import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

EDGE = 400  # bytes at either end of a file, where headers and directories are
_BOUNDS = (0, 1, -1, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1)
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**9, 10**30, 1e308, -1e308, float("nan"), float("inf"), "", "x" * 5000, "../../x", "/etc/x",
    "\0", "\ud800", [], [[]], {}, {"": 0}, [0] * 2000, [None], "NaN",
)  # fmt: skip
_DEEP = "nested "  # stands for so many lists in each other, which the standard library cannot write


def mutated(data: bytes, dice: random.Random, other: bytes = b"") -> bytes:
    """One to five of the changes below, one after another. `other`: a file that pieces are taken from."""
    for _ in range(dice.choice((1, 1, 1, 2, 3, 5))):
        data = dice.choice(_CHANGES)(data, dice, other)
    return data


def _place(data: bytes, dice: random.Random) -> int:
    """More often where headers are."""
    if not data:
        return 0
    zone = dice.random()
    if zone < 0.5:
        return dice.randrange(min(len(data), EDGE))
    return dice.randrange(max(0, len(data) - EDGE), len(data)) if zone < 0.65 else dice.randrange(len(data))


def _bits(data: bytes, dice: random.Random, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8, 40)) if data else 0):
        changed[_place(data, dice)] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _integer(data: bytes, dice: random.Random, other: bytes) -> bytes:
    """A number of 1, 2, 4 or 8 bytes becomes an extreme one: sizes and offsets that lie."""
    width, order = dice.choice((1, 2, 4, 8)), dice.choice(("little", "big"))
    value = dice.choice(_BOUNDS) % (1 << 8 * width)
    at = _place(data, dice)
    return data[:at] + value.to_bytes(width, order) + data[at + width :]


def _cut(data: bytes, dice: random.Random, other: bytes) -> bytes:
    return data[: _place(data, dice)]


def _without(data: bytes, dice: random.Random, other: bytes) -> bytes:
    at = _place(data, dice)
    return data[:at] + data[at + dice.choice((1, 4, 30, 500)) :]


def _repeated(data: bytes, dice: random.Random, other: bytes) -> bytes:
    at, length = _place(data, dice), dice.choice((1, 8, 100, 5000))
    return data[:at] + data[at : at + length] * dice.choice((2, 3, 50)) + data[at + length :]


def _noise(data: bytes, dice: random.Random, other: bytes) -> bytes:
    at, length = _place(data, dice), dice.choice((1, 16, 200))
    return data[:at] + dice.randbytes(length) + data[at + dice.choice((0, length)) :]


def _spliced(data: bytes, dice: random.Random, other: bytes) -> bytes:
    if not other:
        return _noise(data, dice, other)
    begin, end = sorted((_place(other, dice), _place(other, dice)))
    at = _place(data, dice)
    return data[:at] + other[begin:end] + data[at + dice.choice((0, end - begin)) :]


def _blank(data: bytes, dice: random.Random, other: bytes) -> bytes:
    at, length = _place(data, dice), dice.choice((4, 64, 1000))
    return data[:at] + bytes([dice.choice((0, 255, 32))]) * min(length, len(data) - at) + data[at + length :]


_CHANGES = (_bits, _bits, _integer, _integer, _cut, _without, _repeated, _noise, _spliced, _blank)


def resized_png(data: bytes, dice: random.Random) -> bytes:
    """A PNG whose header, with a right checksum, tells other dimensions, depth or kind of colour."""
    sides = (0, 1, 47, 5000, 9999, 20000, 30000, 2**31 - 1)
    depth, colour = dice.choice(((8, 0), (8, 2), (8, 3), (8, 6), (16, 0), (16, 2), (16, 6), (1, 0), (7, 9)))
    header = struct.pack(">IIBBBBB", dice.choice(sides), dice.choice(sides), depth, colour, 0, 0, dice.choice((0, 1)))
    return data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]


def mutated_json(data: bytes, dice: random.Random) -> bytes:
    """A JSON document with a few values, keys or entries exchanged; now and then its bytes as well."""
    document = json.loads(data)
    if dice.random() < 0.02:
        return b"[" + dice.choice((b"[],", b"{},", b"0,", b'"x",')) * dice.choice((1_000_000, 4_000_000)) + b"0]"
    for _ in range(dice.choice((1, 1, 2, 4))):
        holder, key = dice.choice(list(_slots(document)) or [([document], 0)])
        what = dice.random()
        if what < 0.15:
            del holder[key]
        elif what < 0.25:
            holder[key] = _DEEP + str(dice.choice((10, 60, 3000, 200_000)))
        elif what < 0.35 and isinstance(holder[key], list):
            holder[key] = holder[key] * dice.choice((2, 500))
        else:
            holder[key] = copy.deepcopy(dice.choice(_VALUES))
    text = re.sub(rf'"{_DEEP}(\d+)"'.encode(), _nested, json.dumps(document).encode())
    return mutated(text, dice) if dice.random() < 0.15 else text


def _nested(found: re.Match[bytes]) -> bytes:
    return b"[" * int(found[1]) + b"]" * int(found[1])


def _slots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a document: what holds it and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _slots(value[key])


def mutated_npz(data: bytes, dice: random.Random) -> bytes:
    """An archive of arrays with members left out, of other shapes and types, with headers that lie, or torn."""
    if dice.random() < 0.4:
        return mutated(data, dice)
    if dice.random() < 0.02:
        return _crowded(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(dice.choice((1, 1, 2, 4))):
        name = dice.choice(sorted(members))
        members[name] = dice.choice((_other_array, _other_array, _lying_header, _torn))(members[name], dice)
        if not members[name]:
            del members[name]
        if not members:
            break
    out = io.BytesIO()
    packed = dice.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))
    with zipfile.ZipFile(out, "w", packed) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return out.getvalue()


def _crowded(data: bytes) -> bytes:
    """An archive of more members than any model has."""
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        for number in range(30_000):
            archive.writestr(f"{number}.npy", b"")
    return out.getvalue()


def _other_array(data: bytes, dice: random.Random) -> bytes:
    change = dice.choice(_OTHERS)
    try:
        with np.errstate(all="ignore"):
            changed = change(np.load(io.BytesIO(data), allow_pickle=False))
    except Exception:  # an earlier change has made something of it that has no such form
        return b""
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asanyarray(changed), allow_pickle=True)
    return out.getvalue()


_OTHERS: tuple[Callable[[np.ndarray], Any], ...] = (
    lambda array: array.astype(np.float16), lambda array: array.astype("U3"), lambda array: np.zeros_like(array) - 1,
    lambda array: array * np.nan, lambda array: array.astype(np.float64) * 1e300, lambda array: array.reshape(-1),
    lambda array: array[..., None], lambda array: array[:0], lambda array: array[: len(array) // 2],
    lambda array: np.concatenate([array] * 3), lambda array: array.astype(object), lambda array: array[::-1],
    lambda array: np.zeros(3, [("a", "f4"), ("b", "i8")]), lambda array: np.array("nothing"),
    lambda array: array.astype(np.complex64), lambda array: np.zeros(60_000_000, np.uint8), np.asfortranarray,
)  # fmt: skip


def _lying_header(data: bytes, dice: random.Random) -> bytes:
    """Another shape over the same numbers."""
    shape = tuple(dice.choice((0, 1, 3, 10**5, 10**9, 2**40, -1)) for _ in range(dice.choice((0, 1, 2, 3, 60))))
    kind = dice.choice(("<f4", "<f8", "|b1", "<U900000000", "|V2000000000", "|O", "<i4", "<M8[s]"))
    out = io.BytesIO()
    header = {"descr": kind, "fortran_order": dice.random() < 0.3, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)  # type: ignore[arg-type]
    return out.getvalue() + data[128:]


def _torn(data: bytes, dice: random.Random) -> bytes:
    return mutated(data, dice)


def mutated_text(data: bytes, dice: random.Random) -> bytes:
    """Lines of a list or table with what editors, spreadsheets and accidents put there."""
    if dice.random() < 0.35:
        return mutated(data, dice)
    lines = data.split(b"\n")
    if dice.random() < 0.01:
        return lines[0] + b"\n" + dice.choice((b"\n", b"#\n", b"x\n", b",\n")) * 3_000_000
    for _ in range(dice.choice((1, 2, 4))):
        at = dice.randrange(len(lines))
        lines[at] = dice.choice((
            lambda line: b"\0" + line, lambda line: b'"' + line, lambda line: line + b"," * 40,
            lambda line: b"\xff\xfe" + line, lambda line: line.replace(b".", b"\0"), lambda line: b"x" * 140_000,
            lambda line: line + b"\r\r\n\x0c\x1c", lambda line: b'"a""b\n' + line, lambda line: b"/" + line,
            lambda line: b"../" * 900 + line, lambda line: b"\xe2\x80\xae" + line, lambda line: line * 3,
            lambda line: b"\xc3\x28" + line, lambda line: b"", lambda line: b"-" + line, lambda line: b"#" + line,
        ))(lines[at])  # fmt: skip
    text = b"\n".join(lines)
    coding = dice.choice((None, None, None, "utf-16", "utf-16-le", "utf-8-sig", "utf-32"))
    return text if coding is None else text.decode("utf-8", "replace").encode(coding)

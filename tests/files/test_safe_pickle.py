"""Pickles are read as data: what models hold comes back, and nothing a hostile file asks for is done."""

import collections
import pickle
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from facefit.errors import ModelError
from facefit.files.plain_pieces import Unread
from facefit.files.safe_pickle import load_object_npy, load_pickle

# --- what models hold ---


def _model() -> dict:
    rng = np.random.default_rng(0)
    return {
        "f": np.arange(12, dtype=np.uint32).reshape(4, 3),
        "v_template": rng.normal(size=(6, 3)),
        "fortran": np.asfortranarray(rng.normal(size=(4, 5)).astype(np.float32)),
        "big_endian": np.arange(5, dtype=">i4"),
        "J_regressor": sparse.csc_matrix(rng.normal(size=(5, 6)) * (rng.random((5, 6)) > 0.5)),
        "J_rows": sparse.csr_matrix(np.eye(3)),
        "J_coo": sparse.coo_matrix(np.eye(3)),
        "names": np.array(["browDown", "jawOpen"]),
        "objects": np.array([{"a": 1}, [1, 2]], dtype=object),
        "empty": np.zeros((0, 3)),
        "scalar": np.float32(2.5),
        "bs_type": "lrotmin",
        "flag": True,
        "nothing": None,
        "raw": b"\x00\xff",
        "nested": {"list": [1, 2.5, (3, "x")], "order": collections.OrderedDict(a=1, b=np.ones(2))},
        "set": {"only"},
        "long": 1 << 70,
    }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_comes_back(tmp_path, protocol):
    path = tmp_path / "model.pkl"
    expected = _model()
    path.write_bytes(pickle.dumps(expected, protocol))
    found = load_pickle(path)
    assert list(found) == list(expected)
    for name, value in expected.items():
        if sparse.issparse(value):
            assert (found[name] != value).nnz == 0
        elif isinstance(value, np.ndarray) and value.dtype.hasobject:
            assert found[name].tolist() == value.tolist()
        elif isinstance(value, np.ndarray | np.generic):
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype
        elif name == "nested":
            np.testing.assert_array_equal(found["nested"]["order"]["b"], np.ones(2))
            assert found["nested"]["list"] == [1, 2.5, (3, "x")]
        elif name == "set":
            assert list(found["set"]) == ["only"]
        else:
            assert found[name] == value


def test_python_2_pickles_of_chumpy(tmp_path):
    # as Python 2's cPickle writes them (protocol 2): chumpy.ch.Ch made by NEWOBJ, raw bytes as BINSTRING
    def text(value: str) -> bytes:
        return b"U" + bytes([len(value)]) + value.encode()

    data = np.array([[1.5, -2.0], [3.25, 1e-300]])
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + text("b") + b"tR(K\x01K\x02K\x02\x86"
        b"cnumpy\ndtype\n(" + text("f8") + b"K\x00K\x01tR(K\x03" + text("<")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", data.nbytes) + data.tobytes() + b"tb"
    )  # fmt: skip
    ch = b"cchumpy.ch\nCh\n)\x81}(" + text("_dirty_vars") + b"c__builtin__\nset\n]\x85R" + text("x") + array + b"ub"
    select = (
        b"cchumpy.reordering\nSelect\n)\x81}(" + text("a") + ch + text("idxs") + b"](K\x03K\x00e"
        + text("preferred_shape") + b"K\x02K\x01\x86ub"
    )  # fmt: skip
    other = b"cchumpy.ch_ops\nmultiply\n)\x81}(" + text("a") + b"K\x01ub"
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(b"\x80\x02}(" + text("shapedirs") + ch + text("posedirs") + select + text("other") + other + b"u.")
    found = load_pickle(path)
    np.testing.assert_array_equal(found["shapedirs"], data)
    np.testing.assert_array_equal(found["posedirs"], [[1e-300], [1.5]])
    assert found["other"] == Unread("multiply")


def test_python_2_protocol_0_strings_with_raw_bytes(tmp_path):
    path = tmp_path / "old.pkl"
    path.write_bytes(b"(dp0\nS'a'\nS'\\x80\\xff'\ns.")
    assert load_pickle(path) == {"a": "\x80\xff"}


def test_object_npy(tmp_path):
    path = tmp_path / "faceverse.npy"
    np.save(path, {"meanshape": np.arange(6.0), "names": ["a", "b"]}, allow_pickle=True)
    found = load_object_npy(path)
    assert found["names"] == ["a", "b"]
    np.testing.assert_array_equal(found["meanshape"], np.arange(6.0))
    np.save(path, np.arange(3))
    with pytest.raises(ModelError, match="expected one saved Python dict"):
        load_object_npy(path)


def test_shared_arrays_stay_shared(tmp_path):
    array = np.arange(1000.0)
    path = tmp_path / "shared.pkl"
    path.write_bytes(pickle.dumps([array, array]))
    first, second = load_pickle(path)
    assert first is second


# --- hostile files ---

_TRACE: list[str] = []


def _touch(*arguments: object) -> dict:
    _TRACE.append(str(arguments))
    return {}


class _Reduced:
    def __init__(self, function: object, *arguments: object) -> None:
        self.result = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.result


class _Stated:
    """An instance whose restoring would call __setstate__."""

    def __setstate__(self, state: object) -> None:
        _touch(state)

    def __getstate__(self) -> dict:
        return {"x": 1}


def _hostile(folder: Path) -> dict[str, bytes]:
    import builtins
    import functools
    import operator
    import os
    import subprocess

    made = folder / "made"
    command = f"touch {made}"
    array = np.ones(3)

    class Keyed(dict):
        pass

    return {
        "os.system": pickle.dumps(_Reduced(os.system, command)),
        "os.system in a dict of arrays": pickle.dumps({"v": array, "f": [_Reduced(os.system, command)]}),
        "os.system as a key": pickle.dumps({(1, 2): _Reduced(os.system, command)}),
        "posix by hand": b"cposix\nsystem\n(S'" + command.encode() + b"'\ntR.",
        "eval": pickle.dumps(_Reduced(builtins.eval, f"open({str(made)!r}, 'w')")),
        "exec": pickle.dumps(_Reduced(builtins.exec, f"open({str(made)!r}, 'w')")),
        "getattr": pickle.dumps(_Reduced(builtins.getattr, array, "tofile")),
        "open": pickle.dumps(_Reduced(builtins.open, str(made), "w")),
        "__import__": pickle.dumps(_Reduced(builtins.__import__, "antigravity")),
        "subprocess": pickle.dumps(_Reduced(subprocess.Popen, ["touch", str(made)])),
        "attrgetter": pickle.dumps(_Reduced(operator.attrgetter("system"), "os")),
        "partial": pickle.dumps(_Reduced(functools.partial, os.system, command)),
        "numpy.load": pickle.dumps(_Reduced(np.load, str(made))),
        "numpy by a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0bmemmap.open\x93.",
        "numpy.memmap": b"cnumpy\nmemmap\n(S'" + str(made).encode() + b"'\nS'f8'\nS'w+'\nI0\nI4\ntR.",
        "numpy's test runner": b"cnumpy.testing._private.utils\nrunstring\n(S'1'\n}tR.",
        "scipy helper": b"cscipy.io\nloadmat\n(S'x'\ntR.",
        "INST": b"(S'" + command.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + command.encode() + b"'\no.",
        "persistent id": b"Pmodel\n.",
        "extension": b"\x82\x01.",
        "NEWOBJ_EX": b"\x80\x04cnumpy\nndarray\n)}\x92.",
        "a class of this file": pickle.dumps(_Stated()),
        "a call of data": b"\x80\x02K\x01K\x02\x85R.",
        "call of an array": pickle.dumps(array)[:-1] + b")R.",
        "an array made twice": pickle.dumps(array)[:-1] + b"}b.",
        "attributes of a dict": b"\x80\x02}}b.",
        "class of ndarray": b"cnumpy\nndarray\n(I4000000000\ntR.",
        "bare class": b"(cnumpy\nndarray\nI1\ntR.",
        "reconstructor": b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.",
        "reconstructor with a state": b"ccopy_reg\n_reconstructor\n(cnumpy\nndarray\nc__builtin__\nobject\nI1\ntR.",
        "encode to another codec": b"c_codecs\nencode\n(S'aa'\nS'hex'\ntR}b.",
        "chumpy with os inside": b"cchumpy.ch\nCh\n)\x81}(U\x01xcos\nsystem\n(S'x'\ntRub.",
        "chumpylike": b"cchumpyhack\nCh\n)R.",
        "newline and colour in a name": b"\x80\x04\x8c\x06os\x1b[31\x8c\x08sys\ntem!\x93.",
        "a nested pickle": pickle.dumps(_Reduced(pickle.loads, pickle.dumps(_Reduced(os.system, command)))),
        "torch": b"ctorch.serialization\nload\n(S'x'\ntR.",
        "sub-class of dict": pickle.dumps(collections.defaultdict(list)),
    }


_NAMES = tuple(_hostile(Path("/nowhere")))


@pytest.mark.parametrize("name", _NAMES)
def test_hostile_pickle_is_refused_and_runs_nothing(tmp_path, name):
    _TRACE.clear()
    path = tmp_path / "model.pkl"
    path.write_bytes(_hostile(tmp_path)[name])
    with pytest.raises(ModelError) as caught:
        load_pickle(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and "\x1b" not in message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.pkl"] and not _TRACE


def test_the_message_names_what_was_asked_for(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cposix\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelError, match="asks for 'posix.system'.*accepted.*nothing in it was executed"):
        load_pickle(path)


def _array_of(shape: str, raw: str = "S'abc'") -> bytes:
    return (
        f"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n{shape}cnumpy\ndtype\n"
        f"(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n{raw}\ntb."
    ).encode()


def _doubled(step: bytes, count: int) -> bytes:
    return b"\x80\x02]q\x00" + step * count + b"."


def _list_doubled(times: int) -> bytes:
    """A list of one number, put twice into a list, and so on; without the protocol, with the end."""
    steps = b"".join(b"q" + bytes([k]) + b"0](h" + bytes([k]) + b"h" + bytes([k]) + b"e" for k in range(times))
    return b"]K\x01a" + steps + b"."


_COSTLY = {
    "array larger than the file": _array_of("(I1000000000\nI1000000000\nt"),
    "array of negative shape": _array_of("(I-1\nt"),
    "array of endless shape": _array_of("(L9999999999999999999999999999L\nt"),
    "array of 40 dimensions": _array_of("(" + "I1\n" * 40 + "t"),
    "array whose shape is text": _array_of("S'ab'\n"),
    "array without bytes": _array_of("(I1\nt", "I5"),
    "text of an announced exabyte": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"abc.",
    "bytes of an announced exabyte": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"abc.",
    "bytearray of an announced exabyte": b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b"abc.",
    "bytearray of 60 announced gigabytes": b"\x80\x05\x96" + struct.pack("<Q", 60 << 30) + b"abc.",
    "frame of an announced exabyte": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"abc.",
    "a number of two gigabytes": b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1) + b"abc.",
    "a number with a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
    "nested 20,000 deep": b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".",
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    # each step makes a tuple of the last one twice; printed, hashed or copied it would be 2^60 long
    "tuple doubled 60 times as a key": b"\x80\x02}" + b")" + b"2\x86" * 60 + b"Nu.",
    "tuple doubled 60 times as an ordered key": b"\x80\x02ccollections\nOrderedDict\n])" + b"2\x86" * 60
    + b"N\x86a\x85R.",
    "tuple doubled 60 times in a set": b"\x80\x04\x8f()" + b"2\x86" * 60 + b"\x90.",
    # a stored text asked for as bytes 10,000 times: 10 GB
    "text multiplied": b"\x80\x02c_codecs\nencode\nq\x00X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)
    + b"X\x06\x00\x00\x00latin1\x86q\x010" + b"](" + b"h\x00h\x01R" * 10_000 + b"e.",
    # 319 bytes: 24 lists of the last one twice; NumPy would write out 16 million numbers
    "lists doubled 24 times": b"\x80\x02" + _list_doubled(24),
    "an array of lists doubled 24 times": b"\x80\x02cchumpy.ch\nCh\n)\x81}(X\x01\x00\x00\x00x" + _list_doubled(24)[:-1]
    + b"ub.",
    "a type that is 24 lists": b"\x80\x02cnumpy\ndtype\n(" + _list_doubled(24)[:-1] + b"K\x00K\x01tR.",
    "an encoding that is 24 lists": b"\x80\x02c_codecs\nencode\n(U\x01a" + _list_doubled(24)[:-1] + b"tR.",
    "a long text beside many short ones": pickle.dumps(["a"] * 100_000 + ["b" * 100_000], 2),
    # 2,000 pairs made a dict 100,000 times
    "a dict multiplied": b"\x80\x02ccollections\nOrderedDict\nq\x00]q\x01(" + b"".join(
        b"M" + struct.pack("<H", k) + b"N\x86" for k in range(2_000)
    ) + b"e\x85q\x020" + b"](" + b"h\x00h\x02R" * 100_000 + b"e.",
    "truncated": pickle.dumps(_model())[:-200],
    "no stop": b"\x80\x02}",
    "empty stack": b".",
    "memo that is not there": b"\x80\x02h\x07.",
    "unknown instruction": b"\xff\xfe.",
    "text": b"This is not a pickle at all.\n",
    "zip": b"PK\x03\x04" + bytes(100),
    "protocol of the future": b"\x80\x63}.",
    "empty": b"",
    "sparse matrix that points outside": pickle.dumps(sparse.csc_matrix(np.eye(3))).replace(
        np.arange(3, dtype=np.int32).tobytes(), np.array([0, 1, 1 << 30], np.int32).tobytes()
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", tuple(_COSTLY))
def test_damaged_or_costly_pickle_ends_in_one_line_soon(tmp_path, name):
    import resource

    path = tmp_path / "model.pkl"
    path.write_bytes(_COSTLY[name])
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(ModelError) as caught:
        load_pickle(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 260
    assert time.monotonic() - start < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024  # KiB


def test_what_is_shared_a_little_comes_back(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02" + _list_doubled(12))
    assert np.asarray(load_pickle(path)).size == 1 << 12
    path.write_bytes(b"ccollections\nOrderedDict\n((lp0\n(S'a'\nI1\ntatR.")
    assert load_pickle(path) == {"a": 1}


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ModelError, match="No such file"):
        load_pickle(tmp_path / "absent.pkl")
    with pytest.raises(ModelError, match="directory"):
        load_pickle(tmp_path)
    with pytest.raises(ModelError, match="not an .npy file"):
        (tmp_path / "text.npy").write_text("hello")
        load_object_npy(tmp_path / "text.npy")

"""The manifest: lines that survive a crash, and the table made of them."""

import io
import json
import math
import re
import resource
import tracemalloc

import pytest

from facefit.batch.manifest import Record, append_record, parse_manifest, read_manifest, table_bytes, total_energy
from facefit.errors import OutputError


def record(photo="a.jpg", status="done", **values):
    return Record(photo, 10, 1.5, status, **values)


def face(number=1, **values):
    energies = {"landmark": 2.0, "prdl": 0.5}
    return {"face": number, "status": "converged", "error": None, "mesh": f"a_{number}.obj", "energies": energies,
            "part_iou": 0.8, "landmark_error": 0.01, "seconds": 1.5, **values}  # fmt: skip


def test_what_is_appended_is_read_and_the_last_line_counts(tmp_path):
    path = tmp_path / "manifest.jsonl"
    assert read_manifest(path) == {}
    records = [record(), record("b.jpg", "failed", exit_code=3, error="no face"), record(seconds=2.0)]
    for each in records:
        append_record(path, each)
    assert read_manifest(path) == {"a.jpg": records[2], "b.jpg": records[1]}


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_line_that_was_cut_off_costs_itself_alone(tmp_path, cut):
    path = tmp_path / "manifest.jsonl"
    for name in ("a.jpg", "b.jpg"):
        append_record(path, record(name))
    path.write_bytes(path.read_bytes()[:-cut])
    append_record(path, record("c.jpg"))
    expected = {"a.jpg", "b.jpg", "c.jpg"} if cut == 1 else {"a.jpg", "c.jpg"}
    assert set(read_manifest(path)) == expected


def test_a_full_disk_leaves_whole_lines(tmp_path):
    path = tmp_path / "manifest.jsonl"
    append_record(path, record())
    whole = path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, before[1]))
    try:
        with pytest.raises(OutputError, match="File too large"):
            append_record(path, record("b.jpg"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == whole
    append_record(path, record("b.jpg"))
    assert list(read_manifest(path)) == ["a.jpg", "b.jpg"]


def test_lines_of_other_versions():
    later = {**json.loads(record().line()), "invented": 1}
    earlier = {"photo": "b.jpg", "bytes": 1, "modified": 2.0, "status": "done", "outputs": ["b.obj"]}
    text = "\n".join([json.dumps(later), json.dumps(earlier), "[]", '"text"', '{"photo": 3}', "null"])
    assert {name: value.outputs for name, value in parse_manifest(text).items()} == {"a.jpg": [], "b.jpg": ["b.obj"]}


WRONG = [
    ('{"photo": "b.jpg", "by', "damaged JSON"),
    ("[]", "is a list; expected an object"),
    ("null", "is null"),
    ("3", "is 3"),
    ({"photo": None}, "photo: is null; expected a text"),
    ({"photo": ...}, "lacks photo"),
    ({"bytes": "9"}, "bytes: is"),
    ({"bytes": True}, "bytes: is true"),
    ({"modified": None}, "modified"),
    ({"status": "perhaps"}, "status: is"),
    ({"status": []}, "status"),
    ({"outputs": "a.obj"}, "outputs"),
    ({"outputs": [1]}, r"outputs\[0\]: is 1"),
    ({"output_bytes": [1.5]}, r"output_bytes\[0\]"),
    ({"faces": {}}, "faces: is an object"),
    ({"faces": [3]}, r"faces\[0\]"),
    ({"faces": [{"energies": {"prdl": "x"}}]}, r"faces\[0\].energies.prdl"),
    ({"faces": [{"face": "one"}]}, "face"),
    ({"faces": [{"mesh": 7}]}, r"faces\[0\].mesh"),
    ({"model": []}, "model"),
    ({"model": {"name": 1}}, "model.name"),
    ({"settings": 4}, "settings"),
    ({"thumbnail": 1}, "thumbnail"),
    ({"final": 0}, "final"),
    ({"exit_code": "5"}, "exit_code"),
    ({"seconds": "NaN!"}, "NaN"),
    ({"seconds": "Infinity!"}, "Infinity"),
    ({"seconds": "1e999!"}, "beyond all bounds"),
    ({"settings": {"deep": "[" * 90 + "]" * 90 + "!"}}, "nested deeper"),
    ({"seconds": "[" * 99999 + "!"}, "nested deeper"),
    ({"outputs": ["../a.obj"]}, "no name in the output folder"),
    ({"outputs": ["/etc/x"]}, "no name"),
    ({"thumbnail": "a\0b"}, "no name"),
    ({"faces": [{"thumbnail": "../../x.jpg"}]}, "no name"),
    ({"bytes": 10**30}, "bounds"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG)
def test_a_garbled_line_costs_itself_and_is_named(tmp_path, caplog, wrong, words):
    """... and the photo that it names is done again."""
    path = tmp_path / "manifest.jsonl"
    for name in ("a.jpg", "b.jpg"):
        append_record(path, record(name))
    if isinstance(wrong, dict):
        line = {key: value for key, value in (json.loads(record("b.jpg").line()) | wrong).items() if value is not ...}
        wrong = re.sub(r'"([^"]*)!"', r"\1", json.dumps(line))
    with path.open("a") as stream:
        stream.write(wrong + "\n")
    append_record(path, record("c.jpg"))
    known = read_manifest(path)
    assert {"a.jpg", "c.jpg"} <= set(known)
    (warning,) = [each.getMessage() for each in caplog.records]
    assert re.search(rf"manifest.jsonl: line 3: .*{words}", warning) and "done again" in warning and "\n" not in warning
    assert table_bytes(known.values()) and "".join(each.line() for each in known.values())


def test_a_line_of_no_measure_costs_itself_and_no_memory(tmp_path, monkeypatch):
    path = tmp_path / "m"
    append_record(path, record("a.jpg"))
    with path.open("ab") as stream:
        stream.truncate(stream.tell() + 5_000_000)  # what is left after a power cut on some file systems: zeros
    append_record(path, record("b.jpg"))
    monkeypatch.setattr("facefit.batch.manifest.LONGEST_LINE", 10_000)
    tracemalloc.start()
    try:
        assert list(read_manifest(path)) == ["a.jpg", "b.jpg"]
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_garbled_line_takes_back_what_was_known_of_its_photo():
    lines = [record("b.jpg").line(), record("b.jpg").line().replace('"bytes": 10', '"bytes": "many"')]
    assert parse_manifest("".join(lines)) == {}


def test_the_seed_of_earlier_versions_is_no_setting():
    line = {**json.loads(record(settings={"faces": "all", "seed": 0}).line()), "seed": 0}
    assert parse_manifest(json.dumps(line)) == {"a.jpg": record(settings={"faces": "all"})}


def test_names_of_any_kind(tmp_path):
    names = ["sp ace.jpg", "\u00fcn\u00ef\u2028code.jpg", 'quote".jpg', "new\nline.jpg", "bytes\udcff.jpg"]
    for name in names:
        append_record(tmp_path / "m", record(name))
    assert list(read_manifest(tmp_path / "m")) == names
    if pytest.importorskip("pyarrow"):
        assert table_bytes(read_manifest(tmp_path / "m").values())


def test_unusable_manifest(tmp_path):
    with pytest.raises(OutputError):
        read_manifest(tmp_path)
    with pytest.raises(OutputError):
        append_record(tmp_path / "none" / "manifest.jsonl", record())


def test_the_table_has_a_row_per_face_and_per_failed_photo():
    parquet = pytest.importorskip("pyarrow.parquet")
    records = [
        record(faces=[face(1), face(2, energies={"landmark": None})], outputs=["a_1.obj", "a_2.obj"],
               model={"name": "head", "version": "1", "checksum": "ff"}),
        record("b.jpg", "failed", exit_code=3, error="no face"),
        record("c.jpg", "failed", exit_code=5, error="face 2: nan",
               faces=[face(1), {"face": 2, "status": "failed", "error": "nan", "mesh": None}]),
    ]  # fmt: skip
    rows = parquet.read_table(io.BytesIO(table_bytes(records))).to_pylist()
    assert [(row["photo"], row["face"], row["status"], row["error"]) for row in rows] == [
        ("a.jpg", 1, "done", None), ("a.jpg", 2, "done", None), ("b.jpg", None, "failed", "no face"),
        ("c.jpg", 1, "done", None), ("c.jpg", 2, "failed", "nan"),
    ]  # fmt: skip
    assert rows[0]["energy"] == 2.5 and rows[0]["energy_prdl"] == 0.5 and rows[1]["energy"] is None
    assert (rows[0]["model"], rows[0]["outputs"]) == ("head", ["a_1.obj", "a_2.obj"])


def test_a_doubtful_face_is_told():
    parquet = pytest.importorskip("pyarrow.parquet")
    records = [record(faces=[face(1), face(2, status="doubtful")]), record("b.jpg", faces=[face(1)])]
    assert [each.doubtful for each in records] == [True, False]
    rows = parquet.read_table(io.BytesIO(table_bytes(records))).to_pylist()
    assert [row["status"] for row in rows] == ["done", "doubtful", "done"]


def test_an_empty_table():
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(io.BytesIO(table_bytes([]))).num_rows == 0


def test_total_energy():
    assert math.isclose(total_energy(face()), 2.5)
    assert total_energy({}) is None and total_energy(face(energies={"prdl": None})) is None


def test_the_reason_is_short():
    text = "in/sub/a.jpg: damaged or cut off (x: y); expected JPEG or PNG"
    assert record("sub/a.jpg", "failed", error=text).reason == "damaged or cut off (x: y)"
    assert record(status="failed", error="no face found; look closer").reason == "no face found"
    assert record().reason == ""

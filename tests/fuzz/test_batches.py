"""What a batch may not have lost."""

from facefit.batch.manifest import Record, append_record
from fuzz.batches import check_batch, many_photos


def test_a_batch_that_is_whole_and_ones_that_are_not(tmp_path):
    photos, out = many_photos(tmp_path / "in", 2, 1), tmp_path / "out"
    out.mkdir()
    manifest = out / "manifest.jsonl"
    for name in ("000", "001"):
        (out / f"{name}.json").write_text("{}")
        append_record(manifest, Record(f"{name}.png", 1, 1.0, "done", outputs=[f"{name}.json"], output_bytes=[2]))
    append_record(manifest, Record("broken000.png", 1, 1.0, "failed", 4, "broken000.png: damaged"))
    assert check_batch(photos, out) == []
    whole = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join([whole[0], *whole]))
    assert check_batch(photos, out) == ["000.png: 2 lines, done"]
    manifest.write_text("".join([whole[0], whole[1][:40] + "\n", *whole[1:]]))
    assert check_batch(photos, out) == []  # a line that was cut off
    manifest.write_text("".join(whole[:2]))
    assert check_batch(photos, out) == ["broken000.png: 0 lines, no record"]
    manifest.write_text("".join(whole))
    (out / "001.json").write_text("{ }")
    (out / ".facefit-x").mkdir()
    assert check_batch(photos, out) == ["001.json: another size", "left .facefit-x"]

"""`facefit eval`: its commands and their help."""

from helpers.eval_command import run


def test_help_is_complete_and_light():
    assert "compare" in run() and "export-realy" in run("--help")
    for name in ("parts", "landmarks", "scan", "compare", "export-now", "export-realy"):
        text = run(name, "--help")
        assert "Example" in text and "--model" in text
    assert "No such command" in run("part", code=2)

"""Run facefit's commands in this process and read what they say."""

from click.testing import CliRunner

from facefit.commands import cli


def facefit(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def error_line(result, code, *words):
    """The run failed with `code` and one line that holds all of `words`."""
    assert result.exit_code == code, result.output
    (line,) = [line for line in result.stderr.splitlines() if line]
    assert line.startswith("facefit: error: ")
    for word in words:
        assert word in line, line

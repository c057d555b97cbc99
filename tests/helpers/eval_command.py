"""`facefit eval` in this process."""

import json

from click.testing import CliRunner

from facefit.commands import cli


def run(*args, code=0):
    outcome = CliRunner().invoke(cli, ["eval", *map(str, args)], catch_exceptions=True)
    if outcome.exit_code != code:
        raise AssertionError(f"{outcome.exit_code}: {outcome.output} {outcome.stderr}") from outcome.exception
    if code:
        error = outcome.stderr.strip()
        assert error.startswith("facefit: error: ") and "\n" not in error
        return error
    return outcome.output


def numbers(*args):
    return json.loads(run(*args, "--json", "-"))


def few(*args):
    """Numbers of a scan, where it does not matter how finely it is measured."""
    return numbers(*args, "--samples", 2000)

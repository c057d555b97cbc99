"""`facefit doctor`: what this machine has and lacks."""

from __future__ import annotations

import click


@click.command()
@click.option("--model", type=click.Path(), metavar="FILE", help="Examine this face model instead of the default one.")
@click.option("--debug", is_flag=True, hidden=True)
def doctor(model: str | None, debug: bool) -> int:
    """Say what this machine has and lacks, one line each with the fix. Exit code 1 when facefit cannot work here.

    \b
    Example:
      facefit doctor
    """
    from .doctor_checks import BAD, examine

    bad = 0
    for check in examine(model):
        click.echo(str(check))
        bad += check.state == BAD
    click.echo("all is well" if not bad else f"{bad} thing{'s' * (bad > 1)} to mend")
    return 1 if bad else 0

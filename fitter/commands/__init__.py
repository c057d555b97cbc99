"""What a person types: one command a file."""

from .group import cli, main

__all__ = ["cli", "main"]

"""Which facefit this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def facefit_version() -> str:
    """The version that setup.cfg of this checkout states, or the installed one."""
    settings = Path(__file__).resolve().parent.parent / "setup.cfg"
    if settings.is_file():  # an editable install keeps the number of the day it was made
        import configparser

        config = configparser.ConfigParser()
        config.read(settings, encoding="utf-8")
        if config.get("metadata", "name", fallback="") == "facefit":
            return config.get("metadata", "version", fallback="unknown")
    try:
        return version("facefit")
    except PackageNotFoundError:
        return "unknown"

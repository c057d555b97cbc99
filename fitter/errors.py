"""The errors a user can act on, and the exit codes. `commands.group` alone turns the one into the other."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What `facefit` returns to the shell."""

    DONE = 0
    USAGE = 2
    NO_FACE = 3
    BAD_IMAGE = 4
    FIT_FAILED = 5
    BAD_OUTPUT = 6
    SOME_FAILED = 7
    INTERRUPTED = 130


class FaceFitError(Exception):
    """Something the user can mend; the message says what, where and what is accepted."""

    exit_code: int = ExitCode.FIT_FAILED


class NoFaceError(FaceFitError):
    """The detector found no face, or not the one that was asked for."""

    exit_code = ExitCode.NO_FACE


class ImageError(FaceFitError):
    """The photo cannot be read, or its size or content cannot be used."""

    exit_code = ExitCode.BAD_IMAGE


class FitError(FaceFitError):
    """The optimisation failed: a NaN energy, no usable observation, or a result that does not lie on the face."""

    exit_code = ExitCode.FIT_FAILED


class OutputError(FaceFitError):
    """A result cannot be written where it was asked for."""

    exit_code = ExitCode.BAD_OUTPUT


class ClashError(OutputError):
    """A result was asked for under the name of something that is read, that is facefit's own, or of another result."""

    exit_code = ExitCode.USAGE


class ModelError(FaceFitError):
    """A face model file is missing, damaged or not in the documented format."""

    exit_code = ExitCode.FIT_FAILED


class InputError(FaceFitError):
    """A file that is to be compared (a result, a mesh, a scan, points, labels) is missing, damaged or does not fit."""

    exit_code = ExitCode.BAD_IMAGE

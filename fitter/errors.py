"""The errors a user can act on. `cli.py` alone turns them into one line and an exit code."""


class FaceFitError(Exception):
    """Something the user can mend; the message says what, where and what is accepted."""

    exit_code = 5


class NoFaceError(FaceFitError):
    """The detector found no face, or not the one that was asked for."""

    exit_code = 3


class ImageError(FaceFitError):
    """The photo cannot be read, or its size or content cannot be used."""

    exit_code = 4


class FitError(FaceFitError):
    """The optimisation failed: a NaN energy, or no usable observation."""

    exit_code = 5


class OutputError(FaceFitError):
    """A result cannot be written where it was asked for."""

    exit_code = 6


class ModelError(FaceFitError):
    """A face model file is missing, damaged or not in the documented format."""

    exit_code = 5


class InputError(FaceFitError):
    """A file that is to be compared (a result, a mesh, a scan, points, labels) is missing, damaged or does not fit."""

    exit_code = 4

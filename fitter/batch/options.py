"""The options of a batch as a value, and how a worker process becomes one that knows them. Light to import."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ..job.options import JobOptions


@dataclass(frozen=True)
class PeopleOptions:
    """How groups of photos become people. Attributes as the options of `facefit person`."""

    static: bool | None = None
    one_lens: bool = False
    keep_all: bool = False
    detail: bool = True


@dataclass(frozen=True)
class BatchOptions:
    """What all photos of a batch have in common; travels to every process.

    Attributes:
        job: how a photo is fitted.
        output: folder or URL of the results.
        overlay, labels, thumbnails, albedo: pictures that are written too; viewer: a page for each face.
        settings: what the manifest calls so.
        threads: of a process that works on a CPU; 0 leaves that to the libraries.
        log_level: what worker processes say on stderr.
        people: how each group of photos becomes one person; None: each photo is fitted alone.
    """

    job: JobOptions
    output: str
    overlay: bool = False
    labels: bool = False
    thumbnails: bool = False
    albedo: bool = False
    viewer: bool = False
    settings: dict | None = None
    threads: int = 0
    log_level: int = logging.ERROR
    people: PeopleOptions | None = None


@dataclass(frozen=True)
class Failure:
    """Why a photo or a face has no result, as the command line would say it.

    Attributes:
        final: False when the machine is to blame (`facefit.batch.blame`): the next run tries again.
    """

    exit_code: int
    error: str
    final: bool = True


@dataclass(frozen=True)
class Halt:
    """What a worker answers in place of a record when results cannot be kept: the photo is not to blame, and others
    would fare no better. The batch stops and goes on at the next run."""

    error: str

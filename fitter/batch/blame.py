"""Whose fault it is that something failed: the photo's, or the machine's.

What a photo cannot help (no memory, a full disk, a worker that was killed) is never its final failure: the next run
tries it again. Where no result can be kept at all, the batch stops.

Errors of facefit hide what they were made from (`raise ... from None`), but they still hold it: `__context__`.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from ..errors import ExitCode, OutputError

# the disk, the folder or the connection; not the name, the length or the content of one file
_PLACE = {
    getattr(errno, name)
    for name in (
        "ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO", "ENODEV", "ENXIO", "ESTALE", "ENOTCONN",
        "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ETIMEDOUT", "EPIPE",
        "ENOMEM", "EMFILE", "ENFILE",
    )
    if hasattr(errno, name)
}  # fmt: skip
# what reading a photo may meet besides a damaged photo
_SCARCE = {
    getattr(errno, name) for name in ("ENOMEM", "EMFILE", "ENFILE", "ENOSPC", "EIO", "ESTALE") if hasattr(errno, name)
}
# torch tells a lack of memory by the text of a RuntimeError
_NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|cannot allocate memory", re.IGNORECASE)
_KILLED = (
    "SIGKILL",
    "SIGTERM",
    "SIGINT",
    "SIGHUP",
    "SIGQUIT",
    "SIGXCPU",
)  # sent from outside, by a person or the kernel


def no_memory(error: BaseException) -> bool:
    """Whether memory ran out, here or on a device."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_NO_MEMORY.search(str(error))))


def of_machine(error: BaseException) -> bool:
    """Whether the same photo may succeed on a machine with more memory, more files or another folder."""
    if getattr(error, "exit_code", None) == ExitCode.BAD_OUTPUT:
        return True
    return any(no_memory(cause) or getattr(cause, "errno", None) in _SCARCE for cause in _causes(error))


def keeps_nothing(error: BaseException) -> bool:
    """Whether no result of any photo can be kept: a full disk, no permission, a store that does not answer.

    A name that cannot be written (too long, a folder of that name, one of the inputs) is a matter of that photo.
    """
    if not isinstance(error, OutputError):
        return False
    numbers = [getattr(cause, "errno", None) for cause in list(_causes(error))[1:]]
    # an object store's errors are of its own kinds, without a number
    return any(number is None or number in _PLACE for number in numbers)


def was_killed(how: str) -> bool:
    """Whether a worker that died so (`facefit.batch.workers.how_it_died`) was ended from outside; of an actor of a
    cluster it is not known, and a lost machine is likelier than a crash."""
    return any(name in how for name in _KILLED) or "actor" in how.lower() or "node" in how.lower()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__

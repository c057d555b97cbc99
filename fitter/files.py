"""Several files that appear together or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fitter.errors import OutputError
from fitter.output import check_outputs


def write_files(contents: dict[Path, bytes], keep: Path | None = None) -> list[Path]:
    """Write all files under temporary names in their folders, then rename them; a failure leaves what was there before.

    Args:
        contents: path -> bytes.
        keep: a file that must not be overwritten (the photo).
    Returns:
        the paths, in the order given.
    Raises:
        OutputError: one line that names the path and the reason.
    """
    check_outputs(contents, [keep] if keep is not None else [])
    temporary: dict[Path, Path] = {}
    fresh: list[Path] = []
    path = None
    try:
        for path, data in contents.items():
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
            temporary[path] = Path(name)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            os.chmod(name, 0o666 & ~_umask())
        for path, written in temporary.items():
            new = not path.exists()
            os.replace(written, path)
            if new:
                fresh.append(path)
    except OSError as error:
        _remove(*temporary.values(), *fresh)
        raise OutputError(f"{path}: {error.strerror or error}") from None
    except BaseException:  # Ctrl-C too leaves no partial file
        _remove(*temporary.values(), *fresh)
        raise
    return list(contents)


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _umask() -> int:
    # mkstemp makes files that nobody else can read; the only way to read the umask is to set it
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""`python -m fuzz`: see fuzz.run."""

import os
import sys

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"  # before they are read: what has no threads can be forked

from .run import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())

"""See benchmarks.ablation.run."""

import os
import sys

# torch's threads spin between operations; one process works on one core
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.ablation.run import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())

"""`python -m facefit` is `facefit`."""

from .commands import main

main()

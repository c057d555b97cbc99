"""Attacks on facefit: damaged files, kills, full disks, two writers. `python -m fuzz --help`; docs/reliability.md."""

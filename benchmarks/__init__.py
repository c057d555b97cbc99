"""Measurements: speed on this machine, and quality on folders of photos with known answers."""

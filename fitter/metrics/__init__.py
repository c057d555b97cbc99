"""Figures of merit: part IoU, landmark error, distance to a scan."""

"""Figures against ground truth."""

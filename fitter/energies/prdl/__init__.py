"""The Part Re-projection Distance Loss (Wang et al. 2024): contract, point selection, targets, backends."""

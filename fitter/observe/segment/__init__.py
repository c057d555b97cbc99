"""Which pixel belongs to which part of the face: the contract and its segmenters."""

"""Many photos, many workers, nothing lost."""

"""What several tests share: toy models, made photos, readers of written files."""

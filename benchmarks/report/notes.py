"""What a person saw in the pictures of bad fits, by photo. Looked at again whenever the defaults change."""

from __future__ import annotations

NOTES: dict[str, str] = {}

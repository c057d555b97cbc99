"""One photo with its instruments and its files."""

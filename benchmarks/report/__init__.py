"""`make eval`: all development sets, each energy alone and together, spoilt input, closed eyes -> docs/results.md."""

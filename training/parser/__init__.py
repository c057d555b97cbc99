"""The face parser: data, training, export and evaluation."""

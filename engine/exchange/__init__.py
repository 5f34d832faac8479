"""Foreign formats: one file per format, with reader and writer side by side."""

"""The quick model: hand-made features and a head that learns from a stroke at once. No gradient."""

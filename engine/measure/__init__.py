"""Figures about segmentation quality, and the simulated annotator with its cost model."""

"""The canvas: one widget that shows image, prediction and annotation, and the tools that paint on it."""

"""The folder on disk: reading images, and keeping what people said about them."""

"""Feature extractors: each turns an image into four feature maps, finest first."""

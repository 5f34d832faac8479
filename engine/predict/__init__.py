"""From an image to a label map with confidence: tiles, blending, the predictor. Runs on the worker thread."""

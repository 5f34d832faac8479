"""What a hand says about an image, as exact values: classes, strokes, masks, patches, journals."""

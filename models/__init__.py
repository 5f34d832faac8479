"""Networks as pure PyTorch: configurations, backbones, networks, losses, weights."""

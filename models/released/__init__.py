"""Published checkpoints of the papers' authors in our names: one file per family of networks."""

"""Data only: icons, palettes, texts. Read through `importlib.resources`, so that a frozen app works too."""

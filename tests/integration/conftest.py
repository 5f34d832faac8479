"""What the integration tests have in common: they all use the network."""

import importlib

# Loaded before the first test, so that none of them times a trial of speed (see the conftest above).
importlib.import_module("engine.learn.device")

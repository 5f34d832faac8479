"""The window: Qt and nothing else. It speaks to the engine through sessions and messages only."""

"""Everything that is true without a window: projects, learning, prediction, export. No Qt."""

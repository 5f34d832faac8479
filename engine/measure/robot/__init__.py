"""The robot annotator: a simulated person who works with a tool while it learns, and what that came to."""

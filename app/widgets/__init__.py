"""Widgets that know nothing of sessions and projects."""

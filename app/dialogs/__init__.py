"""Dialogs: none of them stands in the loop of looking, painting and going on."""

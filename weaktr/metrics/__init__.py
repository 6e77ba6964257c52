"""Scores of masks and of tags."""

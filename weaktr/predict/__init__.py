"""Masks for images named on a command line."""

"""Readers: one module per layout that images and tags come in."""

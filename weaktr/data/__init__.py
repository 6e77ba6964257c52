"""Manifest, readers, checks, transforms and the generated demo data set."""

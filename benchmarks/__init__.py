"""Benchmarks of each step against its straightforward version: `make bench`."""

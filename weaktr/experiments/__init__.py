"""Recipes and tracked runs: how results are made, kept and found again."""

"""Losses, rates, data and the one loop of both trainers."""

"""Pseudo-labels that are worth a person's look, the worst first."""

"""Programs that make or measure things; run them as `python -m scripts.NAME`."""

"""One module per DVC stage; `python -m stages --help` lists them."""

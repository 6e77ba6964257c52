"""The `weaktr` command line: one module per command."""

"""The `weaktr` command line: one module a command."""

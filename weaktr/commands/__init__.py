"""What each `weaktr` command does once its options are parsed; imported when it runs."""

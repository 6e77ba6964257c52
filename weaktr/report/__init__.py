"""What people look at: the report, overlays, pictures of CAMs."""

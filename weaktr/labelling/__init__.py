"""Label maps as files for labelling tools; the ways back are in `weaktr.data.readers`."""

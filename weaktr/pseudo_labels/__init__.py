"""From a CAM network to one label map an image."""

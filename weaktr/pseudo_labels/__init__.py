"""From a CAM network to one label map per image."""

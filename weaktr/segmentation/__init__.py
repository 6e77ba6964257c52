"""From a segmenter to label maps, and their scores."""

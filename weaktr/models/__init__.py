"""Networks: ViT backbone, attention fusion, CAM network, segmenter."""

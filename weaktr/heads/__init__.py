"""What single attention heads know: their weights, habits and worth."""

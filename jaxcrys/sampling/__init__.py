"""Sampling: from a wish and a trained model to crystals in files."""

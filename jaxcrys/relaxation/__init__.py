"""Relaxation in the crystal's own coordinates, by which its symmetry stays exact."""

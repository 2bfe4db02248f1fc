"""What energies mean: corrections, elemental references, the convex hull."""

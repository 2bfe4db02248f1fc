"""Interatomic potentials: energies, forces and stresses of crystals."""

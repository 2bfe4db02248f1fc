"""Pictures of crystals."""

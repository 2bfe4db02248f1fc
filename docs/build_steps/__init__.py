"""Scripts that write the generated pages; ``conf.py`` runs them."""

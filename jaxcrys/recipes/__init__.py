"""Recipes: each joins factors, processes and a network into one generator.

A recipe is a module with a frozen ``Config`` and the functions that :class:`Recipe` documents.
"""

from jaxcrys.recipes.base import (
    Recipe,
    get_recipe,
    known_recipes,
    recipe_names,
    register_recipe,
)

__all__ = ["Recipe", "get_recipe", "known_recipes", "recipe_names", "register_recipe"]

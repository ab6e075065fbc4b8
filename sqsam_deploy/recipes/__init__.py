"""Recipes: TOML files that say which artifacts an export builds, and how."""

from sqsam_deploy.recipes.library import bundled_recipes, find_recipe
from sqsam_deploy.recipes.reading import read_recipe
from sqsam_deploy.recipes.recipe import Recipe

__all__ = ["Recipe", "bundled_recipes", "find_recipe", "read_recipe"]

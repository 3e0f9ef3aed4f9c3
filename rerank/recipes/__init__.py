"""What a run is made from: recipes and suites, read from TOML, with the options of their parts."""

from rerank.recipes.recipe import Keys, Recipe, changed, read_changed, read_recipe

__all__ = ["Keys", "Recipe", "changed", "read_changed", "read_recipe"]

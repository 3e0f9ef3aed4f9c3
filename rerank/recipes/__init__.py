"""What a run is made from: recipes and suites, read from TOML, with the options of their parts."""

from rerank.recipes.recipe import Recipe, changed, read_recipe

__all__ = ["Recipe", "changed", "read_recipe"]

"""Train rerankers: a recipe in, a folder with a model out, which `Reranker` and recipes load."""

from rerank.train.loop import train
from rerank.train.recipes import TrainRecipe, read_training

__all__ = ["TrainRecipe", "read_training", "train"]

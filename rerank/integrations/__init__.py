"""A reranker inside other people's frameworks, one module for each; import the one that you need.

Each keeps what the framework's documents are and carry, changes none of them, awaits where the
framework awaits, and writes no score where the method has none.
"""

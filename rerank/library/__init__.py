"""The library face: `Reranker` for applications, and what it is made of."""

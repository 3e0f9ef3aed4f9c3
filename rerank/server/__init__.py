"""A reranker behind HTTP, in the dialects that clients already speak. `rerank serve` starts it."""

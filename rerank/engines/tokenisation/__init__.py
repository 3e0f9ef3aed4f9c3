"""How a request is spelled in a model's tokens, and how what was spelled before is used again."""

"""OpenAI-compatible servers: their wire format, their connections, what one can be trusted with."""

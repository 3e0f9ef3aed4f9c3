"""Checkpoints that this process runs itself: language models, encoders and what scores pairs."""

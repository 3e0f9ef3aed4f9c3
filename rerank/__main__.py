"""`python -m rerank`: the command."""

from rerank.cli import main

main()

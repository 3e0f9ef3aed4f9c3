"""Rows as a Markdown table."""

from collections.abc import Sequence


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table: the first is the head, the first column is to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "".join(f"| {' | '.join(_cells(row, widths))} |\n" for row in [rows[0], rule, *rows[1:]])


def _cells(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = (
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return [first, *rest]

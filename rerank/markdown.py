"""Rows as a Markdown table."""

from collections.abc import Sequence


def markdown(rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Rows as a Markdown table, the first its head: `texts` columns to the left, then numbers."""
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width if i < texts else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [_cells(row, widths, texts) for row in [rows[0], rule, *rows[1:]]]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(row: Sequence[str], widths: Sequence[int], texts: int) -> list[str]:
    padded = zip(row, widths, strict=True)
    return [c.ljust(w) if i < texts else c.rjust(w) for i, (c, w) in enumerate(padded)]

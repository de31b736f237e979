"""Tables of cases that a person can read: a header row, named cells, one row a case."""

import pytest

Row = dict[str, str]


def rows(text: str) -> list[Row]:
    """Read a table whose cells stand between bars; the first row names the columns.

    >>> rows('''
    ... | day | kept |
    ... | 30  | yes  |
    ... ''')
    [{'day': '30', 'kept': 'yes'}]
    """
    lines = [
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if line.strip()
    ]
    header, *body = lines
    wrong = [line for line in body if len(line) != len(header)]
    assert not wrong, f"rows of another length than the header {header}: {wrong}"
    return [dict(zip(header, line, strict=True)) for line in body]


def table(text: str) -> pytest.MarkDecorator:
    """Run a test once for each row, as its argument `row`; the first cell names the case."""
    cases = rows(text)
    return pytest.mark.parametrize("row", [pytest.param(row, id=next(iter(row.values()))) for row in cases])

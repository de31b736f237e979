"""The way through the pages of the list of accounts."""

import pytest
from starlette.datastructures import QueryParams

from stream.console.pages.accounts import Asked

ROWS = 50


@pytest.mark.parametrize("pages", [0, 1, 2, 3, 4, 9])
def test_who_goes_on_comes_back_to_the_first_page(monkeypatch: pytest.MonkeyPatch, pages: int) -> None:
    """Page by page while the way back is known, and from there to the first, whose cursor is none."""
    known = 3
    monkeypatch.setattr("stream.console.pages.accounts._BACK_MAX", known)
    asked = Asked.of(QueryParams(""))
    for number in range(1, pages + 1):
        asked.on(f"behind {number}", ROWS)
    shown = [(asked.first, asked.cursors[-1])]
    while asked.first > 1:
        asked.back()
        shown.append((asked.first, asked.cursors[-1]))

    trail = [(1 + number * ROWS, f"behind {number}") for number in range(pages, max(0, pages - known - 1), -1)]
    assert shown == [*trail, (1, None)]
    assert len(asked.cursors) == 1

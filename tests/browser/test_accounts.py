"""The list of accounts: searched while one types, filtered and turned over, and its address says what it shows."""

import re

from playwright.sync_api import expect

from tests.browser.stage import Stage
from tests.support.browser import Tab


def test_a_search_keeps_what_is_typed(stage: Stage, tab: Tab) -> None:
    """Though the list is drawn again between two keys; and who opens the address later sees the same."""
    page = tab.page
    tab.visit(stage.path_of("accounts"))
    name = page.locator("tbody a").first.inner_text()

    field = page.get_by_role("searchbox").first
    field.press_sequentially(name, delay=90)
    expect(page.locator("tbody tr").first).to_contain_text(name)
    expect(field).to_have_value(name)
    expect(page).to_have_url(re.compile("search="))

    page.reload()
    expect(page.get_by_role("searchbox").first).to_have_value(name)
    expect(page.locator("tbody tr").first).to_contain_text(name)


def test_a_filter_stays_open_while_one_picks(stage: Stage, tab: Tab) -> None:
    """By the pointer, one value after another; Escape closes it and gives the focus back."""
    page = tab.page
    tab.visit(stage.path_of("accounts"))
    button = page.get_by_role("button", name="Tier").first

    button.click()
    for one in ("Key", "Growth"):
        page.locator(".pick-list label", has_text=one).click()
    expect(page).to_have_url(re.compile(r"tier=key&tier=growth"))
    expect(page.locator("tbody .badge-tier-standard")).to_have_count(0)

    page.keyboard.press("Escape")
    expect(page.locator(".pick-list")).to_have_count(0)
    expect(button).to_be_focused()


def test_a_list_is_filtered_by_the_keyboard_alone(stage: Stage, tab: Tab) -> None:
    """Past the navigation to the filters; what has the focus is seen, and an open filter is fit for everybody."""
    page = tab.page
    tab.visit(stage.path_of("accounts"))

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("checkbox", name="Key", exact=True)).to_be_focused()
    page.keyboard.press("Space")

    expect(page).to_have_url(re.compile(r"\?tier=key$"))
    expect(page.get_by_role("checkbox", name="Key", exact=True)).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert tab.faults() == []

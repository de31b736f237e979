"""Every page of the console is fit for everybody, at a desk and on a phone, in light and in dark."""

import pytest
from playwright.sync_api import Browser, expect

from stream.console.frame import PAGES
from tests.browser.stage import READ_KEY, Stage
from tests.support.browser import Tab


@pytest.mark.parametrize("name", [one.name for one in PAGES])
def test_a_page_is_whole_and_fit_for_everybody(stage: Stage, tab: Tab, name: str) -> None:
    """Axe finds nothing serious, nothing overflows, and its console and network stay silent."""
    tab.visit(stage.path_of(name))

    assert tab.faults() == []


def test_the_sign_in_page_is_fit_for_everybody(locked_tab: Tab) -> None:
    """Whoever has no session comes to it from any page, and it is as whole as those behind it."""
    locked_tab.page.goto("/console/")

    expect(locked_tab.page.get_by_label("API key")).to_be_visible()
    assert locked_tab.faults() == []


def test_a_wrong_key_is_refused(stage: Stage, locked_tab: Tab) -> None:
    """The form says so, and no page is shown; the right one leads to the page that was asked for."""
    page = locked_tab.page
    wanted = f"{stage.path_of('today')}?from=elsewhere"
    page.goto(wanted)

    page.get_by_label("API key").fill("x" * 40)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This key is not known.")
    expect(page.get_by_role("navigation")).to_have_count(0)

    page.get_by_label("API key").fill(READ_KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation")).to_be_visible()
    expect(page).to_have_url(wanted)


def test_signing_out_ends_a_page_that_is_open_elsewhere(stage: Stage, chromium: Browser, locked_tab: Tab) -> None:
    """Another browser that has the same cookie is led to sign in, without being touched."""
    locked_tab.sign_in(READ_KEY, stage.path_of("today"))
    elsewhere = Tab(chromium, stage.locked, storage_state=locked_tab.page.context.storage_state())
    elsewhere.visit(stage.path_of("portfolio"))

    locked_tab.page.get_by_role("button", name="Sign out").click()

    expect(elsewhere.page.get_by_label("API key")).to_be_visible()
    assert elsewhere.complaints == []
    elsewhere.close()


def test_the_language_is_chosen_on_the_page(stage: Stage, tab: Tab) -> None:
    """Everything is in the other language then, the language of the document too, and stays so on the next page."""
    tab.visit(stage.path_of("today"))
    assert tab.page.title().startswith("Today")

    tab.page.get_by_label("Language").select_option("中文")
    tab.page.wait_for_function("() => document.documentElement.lang === 'zh'")
    tab.visit(stage.path_of("today"))

    assert tab.page.locator("html").get_attribute("lang") == "zh"
    assert not tab.page.title().startswith("Today")
    assert tab.faults() == []

"""What happens to an account is seen on the pages that are open, and what is said on a page happens."""

import json

from playwright.sync_api import Locator, Page, expect

from models.events import InputTopic
from stream.headers import EDIT_REASON_HEADER, EDITED_BY_HEADER
from tests.browser.stage import ADMIN_KEY, READ_KEY, Stage
from tests.support.browser import Tab
from tests.support.polling import eventually
from tests.support.topics import read_topic

_SCRIPT = "<img src=x onerror=\"document.title='taken over'\"><script>document.title='taken over'</script>"
_LOADED = "performance.timeOrigin"
"""When the page was loaded: the same as long as it was not loaded again."""


def _orders_of_a_month(page: Page) -> Locator:
    return page.get_by_role("row", name="30 days").get_by_role("cell").nth(2)


def test_an_order_changes_the_page_of_its_account(stage: Stage, tab: Tab) -> None:
    """Whoever has it open sees one order more, and it is not loaded again."""
    tab.visit(stage.path_of("account", "ACC-000011"))
    loaded, before = tab.page.evaluate(_LOADED), int(_orders_of_a_month(tab.page).inner_text())

    stage.order("ACC-000011", "1234.50")

    expect(_orders_of_a_month(tab.page)).to_have_text(str(before + 1))
    assert tab.page.evaluate(_LOADED) == loaded
    assert tab.complaints == []


def test_a_change_of_a_tier_is_seen_today(stage: Stage, tab: Tab) -> None:
    """An account that was small and orders a lot moves up before the eyes of whoever looks at today's changes."""
    account = stage.least("basic", "standard")
    tab.visit(stage.path_of("today"))
    loaded = tab.page.evaluate(_LOADED)

    stage.order(account["account_id"], "500000.00")

    change = tab.page.get_by_role("listitem").filter(has_text=account["name"]).filter(has_text="Moved up")
    expect(change).to_contain_text("Because of what the customer did")
    assert tab.page.evaluate(_LOADED) == loaded
    assert tab.complaints == []


def test_a_script_in_a_name_is_text(stage: Stage, tab: Tab) -> None:
    """Markup that somebody wrote into a customer's name is shown as it was written, and nothing of it runs."""
    stage.send(InputTopic.PROFILES, "profile.updated", "ACC-SCRIPT", profile_version=1, name=_SCRIPT)
    stage.order("ACC-SCRIPT", "10.00")
    stage.wait_seen("ACC-SCRIPT")

    tab.visit(stage.path_of("account", "ACC-SCRIPT"))
    expect(tab.page.get_by_role("heading", level=1)).to_have_text(_SCRIPT)
    tab.visit(f"{stage.path_of('accounts')}?search=ACC-SCRIPT")
    expect(tab.page.get_by_role("link", name=_SCRIPT)).to_be_visible()

    assert tab.page.title().startswith("Accounts")
    assert tab.complaints == []


def test_an_edit_is_published_with_who_and_why(stage: Stage, locked_tab: Tab) -> None:
    """The whole profile arrives in the topic, the headers say who changed it and why, and the page takes it in."""
    page, account_id = locked_tab.page, "ACC-000012"
    locked_tab.sign_in(ADMIN_KEY, stage.path_of("account", account_id))

    page.get_by_label("Owner", exact=True).fill("Ada Newowner")
    page.get_by_label("Your name").fill("Grace")
    page.get_by_label("Reason for this change").fill("a new territory")
    page.get_by_role("button", name="Publish the change").click()

    topic = stage.settings.topics.of_input(InputTopic.PROFILES)
    (message,) = eventually(
        lambda: [one for one in read_topic(stage.settings, topic) if b"Ada Newowner" in (one.value() or b"")],
        "the edit is published",
    )
    assert message.key() == account_id.encode()
    assert json.loads(message.value() or b"")["name"]
    headers = dict(message.headers() or [])
    assert headers[EDITED_BY_HEADER] == b"editor: Grace"
    assert headers[EDIT_REASON_HEADER] == b"a new territory"
    expect(page.get_by_text("Ada Newowner").first).to_be_visible()
    assert locked_tab.complaints == []


def test_who_may_only_read_is_offered_no_edit(stage: Stage, locked_tab: Tab) -> None:
    """A key without the right to change profiles shows the account, and no form."""
    locked_tab.sign_in(READ_KEY, stage.path_of("account"))

    expect(locked_tab.page.get_by_role("heading", level=1)).to_be_visible()
    expect(locked_tab.page.get_by_role("button", name="Publish the change")).to_have_count(0)

"""Portfolio, win-back, live and what-if: what they show is what the API says, and what is done on them happens."""

import re
from typing import Any

import httpx
from playwright.sync_api import expect

from tests.browser.stage import Stage
from tests.support.browser import Tab
from tests.support.polling import eventually


def tried(stage: Stage, body: Any) -> Any:
    """Try a policy over the API."""
    answer = httpx.post(f"{stage.home}/api/v1/what-if", json=body, trust_env=False, timeout=30)
    return answer.raise_for_status().json()


def test_an_owner_is_told_their_own_figures(stage: Stage, tab: Tab) -> None:
    """Once chosen: how many accounts they have, and the way to all of them."""
    owner = stage.ask("portfolio")["groups"]["owner"][0]
    tab.visit(stage.path_of("today"))

    tab.page.get_by_label("Accounts of").select_option(owner["value"])

    card = tab.page.locator("section", has=tab.page.get_by_role("heading", name=f"Key figures: {owner['value']}"))
    expect(card.get_by_role("definition").first).to_have_text(str(owner["accounts"]))
    card.get_by_role("link", name="All of these accounts").click()
    expect(tab.page.get_by_role("status").first).to_contain_text(str(owner["accounts"]))


def test_a_cell_of_the_matrix_leads_to_its_accounts(stage: Stage, tab: Tab) -> None:
    """The list behind it has as many accounts as the cell says."""
    cell = max(stage.ask("portfolio")["abc_xyz"], key=lambda one: one["accounts"])
    tab.visit(stage.path_of("portfolio"))

    tab.page.get_by_role("link", name=f"{cell['row']}{cell['column']}: {cell['accounts']} accounts").click()

    expect(tab.page).to_have_url(re.compile(f"/accounts\\?abc_revenue={cell['row']}&xyz={cell['column']}"))
    shown = min(50, cell["accounts"])
    expect(tab.page.get_by_role("row")).to_have_count(shown + 1)


def test_the_portfolio_says_in_words_what_its_curve_shows(stage: Stage, tab: Tab) -> None:
    """Share of the largest fifth and the Gini index, the same as the API's, and as a table."""
    found = stage.ask("portfolio")
    tab.visit(stage.path_of("portfolio"))
    curve = tab.page.get_by_role("img", name=f"brings {found['top_fifth_share']:.0%} of it")

    expect(curve).to_be_visible()
    tab.page.get_by_text("As a table").click()
    expect(tab.page.get_by_role("region", name="Concentration of the revenue")).to_be_visible()
    assert tab.complaints == []


def test_months_are_broken_down_by_choice(stage: Stage, tab: Tab) -> None:
    """Every month's losses by reason, segment and owner: those of the month that is chosen."""
    month = next(one for one in stage.ask("churn/months")["months"] if one["lost"]["by_owner"])
    tab.visit(stage.path_of("portfolio"))

    tab.page.get_by_label("By reason, segment and owner in").select_option(month["month"])

    owners = tab.page.get_by_role("region", name="By owner")
    for one in month["lost"]["by_owner"]:
        row = owners.get_by_role("row").filter(has_text=one["value"])
        expect(row.get_by_role("cell").nth(1)).to_have_text(str(one["accounts"]))


def test_win_back_begins_with_who_was_worth_the_most(stage: Stage, tab: Tab) -> None:
    """The order is that of the API, and each account leads to its page."""
    lost = stage.ask("win-back")["items"]
    tab.visit(stage.path_of("win_back"))

    links = tab.page.get_by_role("table").get_by_role("link")
    expect(links).to_have_text([one["name"] or one["account_id"] for one in lost])
    assert lost
    links.first.click()
    expect(tab.page).to_have_url(re.compile(f"/accounts/{lost[0]['account_id']}"))


def test_what_is_paused_stays_as_it_is(stage: Stage, tab: Tab) -> None:
    """A change that comes meanwhile is shown when it goes on; a filter lets only its kind pass."""
    tab.visit(stage.path_of("live"))
    changes = tab.page.get_by_role("list", name="Live").get_by_role("listitem")
    pause = tab.page.get_by_role("button", name="Pause")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    expect(tab.page.get_by_role("status").filter(has_text="Paused")).to_be_visible()
    before = changes.all_text_contents()

    account = stage.least("basic", "standard")
    place = f"accounts/{account['account_id']}"
    last = stage.ask(place)["history"][0]
    stage.order(account["account_id"], "400000.00")
    eventually(lambda: stage.ask(place)["history"][0] != last, "the change can be seen")
    assert changes.all_text_contents() == before

    pause.click()
    tab.page.get_by_label("Search by name or id").fill(account["name"])
    moved_up = changes.filter(has_text=account["name"]).filter(has_text="Moved up")
    expect(moved_up.first).to_be_visible()
    expect(changes.filter(has_not_text=account["name"])).to_have_count(0)
    assert tab.complaints == []


def test_a_trial_says_what_the_api_says(stage: Stage, tab: Tab) -> None:
    """The summary, the counts after, the limits; what was entered stays, and the page stays whole."""
    found = tried(stage, {"weights": {"revenue": 90}, "tiers": {"growth": {"enter": 60}}})
    tab.visit(stage.path_of("what_if"))
    tab.page.get_by_label("Weight: Revenue").fill("90")
    tab.page.get_by_label("Growth: enter from").fill("60")

    tab.page.get_by_role("button", name="Try it").click()

    summary = f"{found['changed']} of {found['accounts']} accounts would change their tier."
    expect(tab.page.get_by_text(summary).first).to_be_visible()
    after = tab.page.get_by_role("row", name=re.compile("^After")).get_by_role("cell")
    expect(after).to_have_text([*map(str, found["tiers_after"].values()), str(found["accounts"])])
    expect(tab.page.get_by_label("Weight: Revenue")).to_have_value("90")
    expect(tab.page.get_by_text("account-health backtest")).to_be_visible()
    assert tab.faults() == []


def test_a_trial_of_no_policy_is_refused_in_words(stage: Stage, tab: Tab) -> None:
    """Bounds that cross are named by their tier, and nothing is shown."""
    tab.visit(stage.path_of("what_if"))
    tab.page.get_by_label("Key: enter from").fill("40")

    tab.page.get_by_role("button", name="Try it").click()

    expect(tab.page.get_by_text("This is no policy")).to_contain_text("Key")
    expect(tab.page.get_by_text("From tier to tier")).to_have_count(0)

"""Questions to the view: every list is what sorting all accounts by hand would give."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import pytest
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from models.outputs import ChurnLevel
from stream.serving import reader
from stream.serving.errors import AccountNotFoundError, CursorExpiredError, ViewUnavailableError
from stream.serving.queries import AccountQuery, QueryError
from stream.serving.reader import ViewReader
from stream.serving.results import AccountRow
from stream.serving.rows import row_of
from stream.view import keys as names
from stream.view.arrangement import Dimension, Sort
from stream.view.entry import decode_body, fold, minor
from stream.view.keys import meta_key
from stream.view.writing import Batch, ViewWriter
from tests.support.portfolio import accounts, fill
from tests.support.redis import RedisServer
from tests.support.snapshots import churn_change, snapshot, tier_change

T = TypeVar("T")
SNAPSHOTS: Final = accounts(400)
ROWS: Final = [row_of(decode_body(value)) for value in SNAPSHOTS.values()]


def ask(server: RedisServer, application_id: str, question: Callable[[ViewReader], Any]) -> Any:
    """Ask a reader something, in an event loop of its own."""

    async def answer() -> Any:
        async with redis.asyncio.Redis(port=server.port) as client:
            return await question(ViewReader(client, application_id))

    return asyncio.run(answer())


def values_of(row: AccountRow, dimension: Dimension) -> set[str]:
    """Give what an account has in a dimension."""
    if dimension is Dimension.ACCOUNT_TYPE:
        return set(map(str, row.account_types))
    value = getattr(row, dimension.value)
    return set() if value is None else {str(value)}


def key_of(row: AccountRow, sort: Sort, *, descending: bool) -> tuple[Any, ...]:
    """Give what an account is ordered by: by value, then by id; those without a value after all others."""
    value: Any = {
        Sort.REVENUE: minor(row.revenue),
        Sort.SCORE: None if row.churn_level is ChurnLevel.NONE else row.score,
        Sort.RISK: row.risk,
        Sort.VALUE_AT_STAKE: minor(row.value_at_stake),
        Sort.VALUE_LOST: minor(row.value_lost),
        Sort.NAME: fold(row.name or "").encode(),
    }[sort]
    return ((value is None) is not descending, value if value is not None else 0, row.account_id)


def by_hand(query: AccountQuery) -> list[str]:
    """Give the accounts that pass, in order."""
    passing = [row for row in ROWS if all(values_of(row, one) & values for one, values in query.filters.items())]
    ordered = sorted(
        passing, key=lambda row: key_of(row, query.sort, descending=query.descending), reverse=query.descending
    )
    return [row.account_id for row in ordered]


async def all_pages(view: ViewReader, query: AccountQuery, most: int = 500) -> list[str]:
    """Follow the cursors to the end."""
    found, cursor = list[str](), None
    for _ in range(most):
        page = await view.accounts(
            AccountQuery(query.filters, query.search, query.sort, query.descending, query.limit, cursor)
        )
        assert len(page.items) <= query.limit
        found += [row.account_id for row in page.items]
        cursor = page.next
        if cursor is None:
            return found
    raise AssertionError("the pages never end")


FILTERS: Final = st.dictionaries(st.sampled_from(list(Dimension)), st.integers(1, 3), max_size=3).flatmap(
    lambda sizes: st.fixed_dictionaries(
        {
            one: st.frozensets(
                st.sampled_from(sorted({value for row in ROWS for value in values_of(row, one)})),
                min_size=1,
                max_size=size,
            )
            for one, size in sizes.items()
        }
    )
)


@settings(max_examples=40)
@given(
    filters=FILTERS,
    sort=st.sampled_from(list(Sort)),
    descending=st.booleans(),
    limit=st.integers(20, 200),
    gathered_max=st.sampled_from([0, 50, 1000]),
)
def test_a_list_is_what_sorting_by_hand_gives(
    shared_redis: RedisServer,
    application_id: str,
    *,
    filters: dict[Dimension, frozenset[str]],
    sort: Sort,
    descending: bool,
    limit: int,
    gathered_max: int,
) -> None:
    """All pages together, for whatever filters, order and size of page, by whichever of the two ways."""
    if sort is Sort.VALUE_LOST:
        filters = {**filters, Dimension.CHURN_LEVEL: frozenset({ChurnLevel.LOST.value})}
    query = AccountQuery(filters, sort=sort, descending=descending, limit=limit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "GATHERED_MAX", gathered_max)

        found = ask(shared_redis, application_id, lambda view: all_pages(view, query))

    assert found == by_hand(query)


@pytest.mark.parametrize(
    ("search", "texts"),
    [
        ("acme", ["acme"]),
        ("ACME tr", ["acme trading"]),
        ("mull", ["muller"]),
        ("osaka", ["osaka"]),
        ("<scr", ["<script>"]),
        ("pap", ["paper", "papier"]),
        ("zzz", []),
    ],
)
def test_a_search_finds_the_beginnings_of_the_first_two_words(
    shared_redis: RedisServer, application_id: str, search: str, texts: list[str]
) -> None:
    """Without regard to case and accents, every account once, in the order of what was found."""
    query = AccountQuery(search=search, sort=Sort.NAME, descending=False, limit=30)
    folded = [(row.account_id, fold(row.name or "")) for row in ROWS]
    expected = {
        account_id
        for account_id, name in folded
        if any(start.startswith(text) for text in texts for start in (name, name.partition(" ")[2]) if start)
    }

    found = ask(shared_redis, application_id, lambda view: all_pages(view, query))

    assert sorted(found) == sorted(expected)


def test_a_search_for_an_id_finds_that_account(shared_redis: RedisServer, application_id: str) -> None:
    """A whole id, and only if the account passes the filters."""
    row = next(row for row in ROWS if row.tier == "key")
    for tier, expected in (("key", [row.account_id]), ("basic", [])):
        query = AccountQuery(
            {Dimension.TIER: frozenset({tier})}, search=row.account_id, sort=Sort.NAME, descending=False
        )

        page = ask(shared_redis, application_id, partial(ViewReader.accounts, query=query))

        assert [one.account_id for one in page.items] == expected


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {Dimension.TIER: frozenset({"key", "basic"})},
        {Dimension.TIER: frozenset({"key"}), Dimension.CHURN_LEVEL: frozenset({"lost"})},
        {Dimension.OWNER: frozenset({"Owner 1", "Owner 2"})},
    ],
    ids=["all", "tiers", "cell", "owners"],
)
def test_the_number_of_accounts_is_told_where_it_is_known(
    shared_redis: RedisServer, application_id: str, filters: dict[Dimension, frozenset[str]]
) -> None:
    """Of all accounts, of cells, and of one filter."""
    query = AccountQuery(filters, limit=1)

    page = ask(shared_redis, application_id, lambda view: view.accounts(query))

    assert page.total == len(by_hand(query))


def test_the_win_back_list_is_the_lost_by_what_they_were_worth(shared_redis: RedisServer, application_id: str) -> None:
    """Lost accounts and no others, the most valuable first."""
    lost = [row for row in ROWS if row.churn_level is ChurnLevel.LOST]

    page = ask(shared_redis, application_id, lambda view: view.win_back(limit=500))

    assert [row.account_id for row in page.items] == [
        row.account_id
        for row in sorted(lost, key=lambda row: key_of(row, Sort.VALUE_AT_STAKE, descending=True), reverse=True)
    ]


def test_the_portfolio_is_the_sum_of_its_accounts(shared_redis: RedisServer, application_id: str) -> None:
    """Counts and sums of every dimension, both matrices, and a concentration that ends with everything."""
    found = ask(shared_redis, application_id, lambda view: view.portfolio())

    assert (found.accounts, found.currency) == (len(ROWS), "EUR")
    assert minor(found.revenue) == sum(minor(row.revenue) or 0 for row in ROWS)
    assert minor(found.value_at_stake) == sum(minor(row.value_at_stake) or 0 for row in ROWS)
    for dimension, groups in found.groups.items():
        for group in groups:
            members = [row for row in ROWS if group.value in values_of(row, dimension)]
            assert group.accounts == len(members)
            assert minor(group.revenue) == sum(minor(row.revenue) or 0 for row in members)
        assert {group.value for group in groups} == {value for row in ROWS for value in values_of(row, dimension)}
    assert [group.value for group in found.groups[Dimension.TIER]] == ["key", "growth", "standard", "basic", "unrated"]
    assert {(one.row, one.column): one.accounts for one in found.abc_xyz} == {
        (abc, xyz): sum(row.abc_revenue == abc and row.xyz == xyz for row in ROWS) for abc in "ABC" for xyz in "XYZ"
    }
    assert sum(one.accounts for one in found.rfm) == sum(row.rfm_segment is not None for row in ROWS)
    shares = [(one.share_of_accounts, one.share_of_revenue) for one in found.concentration]
    assert shares == sorted(shares)
    assert shares[-1] == (1.0, 1.0)
    positive = sorted((revenue for row in ROWS if (revenue := minor(row.revenue) or 0) > 0), reverse=True)
    for accounts_share, revenue_share in shares:
        count = round(accounts_share * len(positive))
        assert revenue_share == pytest.approx(sum(positive[:count]) / sum(positive))


def test_a_portfolio_lists_the_values_with_the_most_revenue(shared_redis: RedisServer, application_id: str) -> None:
    """Of owners, of which there may be thousands, only those; in the order of their revenue, then of their names."""
    revenue: dict[str, int] = {}
    for row in ROWS:
        revenue[str(row.owner)] = revenue.get(str(row.owner), 0) + (minor(row.revenue) or 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "VALUES_MAX", 7)

        found = ask(shared_redis, application_id, lambda view: view.portfolio())

    assert [(one.value, minor(one.revenue)) for one in found.groups[Dimension.OWNER]] == sorted(
        revenue.items(), key=lambda one: (-one[1], one[0])
    )[:7]


def test_an_account_is_told_with_its_history(shared_redis: RedisServer, application_id: str) -> None:
    """The snapshot as it was published, its changes newest first, and where it stood by weeks."""
    application = f"{application_id}-detail"
    writer = fill(shared_redis, application, {"A/1": snapshot("A/1", 1, score=40.0)})
    writer.write(Batch({"A/1": [snapshot("A/1", 24 * 7, score=60.0)]}), {})
    writer.write(Batch({"A/1": [snapshot("A/1", 24 * 8, score=70.0)]}), {})
    writer.write(Batch(changes={"A/1": [tier_change("A/1", 1), churn_change("A/1", 1)]}), {})

    detail = ask(shared_redis, application, lambda view: view.account("A/1"))

    assert detail.snapshot.model_dump_json().encode() == snapshot("A/1", 24 * 8, score=70.0)
    assert [one.type for one in detail.history] == ["account.churn_risk_changed", "account.tier_changed"]
    # 2026-01-05 is a Monday; weeks are counted from a Thursday.
    assert [(one.day.isoformat(), one.score) for one in detail.points] == [("2026-01-05", 40.0), ("2026-01-13", 70.0)]
    with pytest.raises(AccountNotFoundError):
        ask(shared_redis, application, lambda view: view.account("A/2"))


def test_changes_are_read_after_a_cursor_and_none_is_missed(shared_redis: RedisServer, application_id: str) -> None:
    """Pages in order, to an end that is a cursor as well; what comes later follows it."""
    application = f"{application_id}-changes"
    writer = fill(shared_redis, application, accounts(10), changes=25)

    async def pages(view: ViewReader, after: str | None, limit: int) -> tuple[list[int], str]:
        found = []
        while True:
            page = await view.changes(after, limit)
            found += [one.event.sequence for one in page.items]
            after = page.next
            if not page.more:
                return found, after

    found, end = ask(shared_redis, application, lambda view: pages(view, None, 10))
    assert found == list(range(1, 26))
    assert ask(shared_redis, application, lambda view: pages(view, end, 10)) == ([], end)
    writer.write(Batch(changes={"ACC-00001": [tier_change("ACC-00001", 99)]}), {})
    assert ask(shared_redis, application, lambda view: pages(view, end, 10))[0] == [99]
    latest = ask(shared_redis, application, lambda view: view.latest_changes(3))
    assert [one.event.sequence for one in latest] == [99, 25, 24]


def test_a_cursor_after_which_changes_are_gone_is_refused(shared_redis: RedisServer, application_id: str) -> None:
    """One that is too old, one of a former build, and one of the future; the oldest that is whole is not."""
    application = f"{application_id}-expired"
    fill(shared_redis, application, accounts(10), changes=20)
    page = ask(shared_redis, application, lambda view: view.changes(None, 1))
    build = page.next.partition("-")[0]
    writer = ViewWriter(shared_redis.client(), application, 100)
    writer.load()
    for number in range(21, 151):
        writer.write(Batch(changes={"ACC-00001": [tier_change("ACC-00001", number)]}), {})

    assert len(ask(shared_redis, application, lambda view: view.changes(f"{build}-50", 500)).items) == 100
    for cursor in (f"{build}-49", f"{int(build) - 1}-149", f"{build}-151"):
        with pytest.raises(CursorExpiredError):
            ask(shared_redis, application, partial(ViewReader.changes, after=cursor))
    for cursor in ("", "x", "1", "1-", "1-2-3", "-1", f"{build}-{'9' * 30}"):
        with pytest.raises(QueryError):
            ask(shared_redis, application, partial(ViewReader.changes, after=cursor))


@pytest.mark.parametrize("cursor", ["x", "!!", "AAAA", "", "k" * 5000])
def test_a_cursor_that_is_none_is_refused(shared_redis: RedisServer, application_id: str, cursor: str) -> None:
    """Whatever somebody made up."""
    with pytest.raises(QueryError):
        ask(shared_redis, application_id, lambda view: view.accounts(AccountQuery(cursor=cursor)))


def test_a_cursor_of_another_question_is_refused(shared_redis: RedisServer, application_id: str) -> None:
    """Its place means nothing in another order."""
    page = ask(shared_redis, application_id, lambda view: view.accounts(AccountQuery(limit=5)))

    for other in (
        AccountQuery(cursor=page.next, sort=Sort.SCORE),
        AccountQuery(cursor=page.next, descending=False),
        AccountQuery({Dimension.TIER: frozenset({"key"})}, cursor=page.next),
    ):
        with pytest.raises(QueryError):
            ask(shared_redis, application_id, partial(ViewReader.accounts, query=other))


@pytest.mark.parametrize("state", ["absent", "building", "another version"])
def test_a_view_that_is_not_whole_answers_nothing(shared_redis: RedisServer, application_id: str, state: str) -> None:
    """Half of the accounts would be a wrong answer; how far it is can be asked."""
    application = f"{application_id}-{state.replace(' ', '-')}"
    if state != "absent":
        fill(shared_redis, application, accounts(10), changes=2)
    with shared_redis.client() as client:
        if state == "building":
            client.hdel(meta_key(application), names.BUILT_AT)
        if state == "another version":
            client.hset(meta_key(application), names.SCHEMA, "0-other")

    questions: list[Callable[[ViewReader], Any]] = [
        lambda view: view.accounts(AccountQuery()),
        lambda view: view.account("ACC-00001"),
        lambda view: view.portfolio(),
        lambda view: view.changes(),
        lambda view: view.latest_changes(),
        lambda view: view.last_place(),
    ]
    for question in questions:
        with pytest.raises(ViewUnavailableError):
            ask(shared_redis, application, question)
    status = ask(shared_redis, application, lambda view: view.status())
    assert (status.built, status.accounts) == (False, 10 if state == "building" else 0)


def test_a_reader_goes_over_to_a_new_build(shared_redis: RedisServer, application_id: str) -> None:
    """It asks once more with the keys of the build that is in force."""
    application = f"{application_id}-builds"
    fill(shared_redis, application, {"A": snapshot("A")})

    async def answer() -> list[int]:
        async with redis.asyncio.Redis(port=shared_redis.port) as client:
            view = ViewReader(client, application)
            first = await view.portfolio()
            fill(shared_redis, application, {"A": snapshot("A"), "B": snapshot("B")})
            return [first.accounts, (await view.portfolio()).accounts, len((await view.accounts(AccountQuery())).items)]

    assert asyncio.run(answer()) == [1, 2, 2]


def test_a_redis_that_is_gone_is_said_to_be_so() -> None:
    """Not that there are no accounts."""

    async def answer() -> None:
        async with redis.asyncio.Redis(port=1) as client:
            await ViewReader(client, "gone").portfolio()

    with pytest.raises(ViewUnavailableError):
        asyncio.run(answer())

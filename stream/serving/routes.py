"""The routes of the API: what is asked over HTTP, and the answers' shapes."""

from collections.abc import AsyncIterable, AsyncIterator, Callable
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from models.fields import Identifier
from stream.serving.admission import MayChange, MayRead, MayTry, reader_of
from stream.serving.editing import EditReceipt, ProfileEdit
from stream.serving.errors import ServingError
from stream.serving.live import Item
from stream.serving.parameters import AccountParameters, Cursor, Limit
from stream.serving.problems import documented
from stream.serving.reader import CHANGES_MAX
from stream.serving.results import AccountDetail, AccountPage, Change, ChangePage, ChurnMonths, Portfolio, ViewStatus
from stream.serving.services import Services
from stream.serving.telemetry import EditResult
from stream.serving.trial import PolicyTrial, TrialResult

API: Final = "/api/v1"

_ALWAYS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


# Not a plain function: those are carried out in a thread of their own, at every request.
async def _services(request: Request) -> Services:  # see above
    services: Services = request.app.state.services
    return services


Using = Annotated[Services, Depends(_services)]
router: Final = APIRouter(prefix=API, responses=documented(*_ALWAYS))


@router.get("/accounts", tags=["accounts"], operation_id="listAccounts")
async def list_accounts(_: MayRead, services: Using, asked: Annotated[AccountParameters, Query()]) -> AccountPage:
    """List accounts: filtered, in an order, a page at a time.

    A parameter that is given several times lets accounts pass that have one of the values.
    """
    return await services.reader.accounts(asked.query())


@router.get(
    "/accounts/{account_id:path}",
    tags=["accounts"],
    operation_id="getAccount",
    responses=documented(HTTPStatus.NOT_FOUND),
)
async def get_account(
    _: MayRead, services: Using, account_id: Annotated[Identifier, Path(examples=["ACC-000004"])]
) -> AccountDetail:
    """Give all that is known of one account, with its last changes and where it stood week by week."""
    return await services.reader.account(account_id)


@router.get("/portfolio", tags=["portfolio"], operation_id="getPortfolio")
async def get_portfolio(_: MayRead, services: Using) -> Portfolio:
    """Give all accounts together: counts and sums by tier, class and other dimensions, and the concentration."""
    return await services.reader.portfolio()


@router.get("/win-back", tags=["portfolio"], operation_id="listWinBack")
async def list_win_back(_: MayRead, services: Using, limit: Limit = 50, cursor: Cursor = None) -> AccountPage:
    """List the lost accounts, those first that were worth the most."""
    return await services.reader.win_back(limit, cursor)


@router.get("/churn/months", tags=["portfolio"], operation_id="listChurnMonths")
async def list_churn_months(_: MayRead, services: Using) -> ChurnMonths:
    """Tell who was lost and who came back in each of the last 24 months, by reason, segment and owner.

    Segment and owner are those that the account had when the view took the event in.
    """
    return await services.reader.churn_months()


@router.get("/changes", tags=["changes"], operation_id="listChanges", responses=documented(HTTPStatus.GONE))
async def list_changes(
    _: MayRead,
    services: Using,
    after: Annotated[str | None, Query(max_length=50, description="Cursor of a change, or `next` of a page.")] = None,
    limit: Annotated[int, Query(ge=1, le=CHANGES_MAX)] = 100,
) -> ChangePage:
    """List tier changes and churn events, oldest first: those after a cursor, or all that are kept.

    Whoever goes on with `next` misses none. After the view was built anew a cursor is refused with 410; a change that
    was seen before is then recognised by its account, incarnation, type and sequence.
    """
    return await services.reader.changes(after, limit)


async def follow(
    request: Request,
    _: Annotated[Any, Depends(reader_of)],
    last_event_id: Annotated[
        str | None, Header(max_length=50, description="Cursor of the last change that was seen.")
    ] = None,
    after: Annotated[str | None, Query(max_length=50, description="The same, for who cannot send headers.")] = None,
) -> AsyncIterator[AsyncIterator[Item]]:
    """Begin to follow, before the answer begins: it can still be a refusal."""
    services = await _services(request)
    async with services.live.follow(last_event_id or after) as items:
        yield items


@router.get(
    "/changes/live",
    tags=["changes"],
    operation_id="followChanges",
    response_class=EventSourceResponse,
)
async def follow_changes(
    _: MayRead, items: Annotated[AsyncIterator[Item], Depends(follow)]
) -> AsyncIterable[ServerSentEvent]:
    """Follow the changes as they are published: server-sent events.

    `change` has a change, as it is in a page of changes, and its cursor as id. `reset` says that changes may have been
    missed, as the view was built anew, and has the cursor to go on from. A follower that is too slow is let go.
    """
    async for item in items:
        if isinstance(item, Change):
            yield ServerSentEvent(raw_data=item.model_dump_json(), event="change", id=item.cursor)
        else:
            yield ServerSentEvent(data={"cursor": item.cursor}, event="reset", id=item.cursor)


@router.get("/status", tags=["status"], operation_id="getStatus")
async def get_status(_: MayRead, services: Using) -> ViewStatus:
    """Tell how far the view is; answers while it is being built, too."""
    return await services.reader.status()


@router.post("/what-if", tags=["portfolio"], operation_id="tryPolicy")
async def try_policy(_: MayTry, services: Using, asked: Annotated[PolicyTrial, Body()]) -> TrialResult:
    """Tell which accounts would change their tier under another policy. Changes nothing.

    Weights, bounds and vetoes are tried on the parts of the scores as they were last evaluated. Of more than 20,000
    accounts a part is looked at, and counts are estimates. One trial counts as ten requests.
    """
    return await services.trials.run(asked)


@router.post(
    "/profile-edits",
    tags=["profiles"],
    operation_id="editProfile",
    status_code=HTTPStatus.ACCEPTED,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def edit_profile(who: MayChange, services: Using, edit: Annotated[ProfileEdit, Body()]) -> EditReceipt:
    """Change ratings, owner or override in the profile of an account. Needs a key with the scope `admin`.

    The whole profile is published to the topic `profiles`, with the version that was read and one more, and with who
    changed it and why in its headers. The worker takes it in; the account's snapshot then shows it.
    """
    try:
        receipt = await services.editor.edit(edit, who.name)
    except ServingError as error:
        services.metrics.count_edit(_RESULTS.get(type(error).__name__, EditResult.REFUSED))
        raise
    services.metrics.count_edit(EditResult.PUBLISHED)
    return receipt


_RESULTS: Final = {
    "EditConflictError": EditResult.CONFLICT,
    "EditUnavailableError": EditResult.UNAVAILABLE,
    "ViewUnavailableError": EditResult.UNAVAILABLE,
}


def document_route(openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """Give the route of the API's own description, which needs a key like all others."""
    described = APIRouter(prefix=API)

    @described.get("/openapi.json", include_in_schema=False, dependencies=[Depends(reader_of)])
    async def get_openapi() -> JSONResponse:
        return JSONResponse(openapi())

    return described

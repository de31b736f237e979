"""Errors of the API as problem details: RFC 9457, `application/problem+json`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from stream.serving.errors import (
    AccountNotFoundError,
    CursorExpiredError,
    EditConflictError,
    EditRefusedError,
    EditUnavailableError,
    ServingError,
    TooManyClientsError,
    TrialBusyError,
    TrialRefusedError,
    ViewUnavailableError,
)
from stream.serving.queries import QueryError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 2
"""When to try again what is not available."""
_URN: Final = "urn:account-health:problem:"
_ERRORS_MAX: Final = 20


class FieldProblem(BaseModel):
    """What is wrong with one part of a request."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    where: str
    """`query`, `path`, `header` or `body`, and the part's name in it, with dots."""
    detail: str


class Problem(BaseModel):
    """Why a request was not answered: RFC 9457."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "type": f"{_URN}account-not-found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "there is no account of this id",
                }
            ]
        },
    )

    type: str
    """Which kind of problem: a URN that a program may compare."""
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    """What is the matter this time, for a person. Nothing of the request is repeated in it."""
    errors: list[FieldProblem] | None = None
    """What is wrong with which part of the request; only where a part is."""


class ProblemError(Exception):
    """Ends a request with a problem.

    Args:
        status: of the answer.
        name: the last part of the problem's type.
        detail: what is the matter, for a person.
        headers: of the answer, beside the usual ones.
    """

    def __init__(self, status: HTTPStatus, name: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status: Final = status
        self.name: Final = name
        self.headers: Final = dict(headers or {})


def respond(
    status: int,
    name: str,
    detail: str,
    *,
    errors: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Make the answer that tells of a problem."""
    problem = Problem(type=_URN + name, title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return JSONResponse(
        problem.model_dump(exclude_none=True), status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe answers that tell of a problem, for OpenAPI."""
    return {
        status.value: {
            "description": status.phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


_KINDS: Final[Mapping[type[ServingError], tuple[HTTPStatus, str]]] = {
    AccountNotFoundError: (HTTPStatus.NOT_FOUND, "account-not-found"),
    CursorExpiredError: (HTTPStatus.GONE, "cursor-expired"),
    EditConflictError: (HTTPStatus.CONFLICT, "version-conflict"),
    EditRefusedError: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
    EditUnavailableError: (HTTPStatus.SERVICE_UNAVAILABLE, "topic-unavailable"),
    TrialBusyError: (HTTPStatus.TOO_MANY_REQUESTS, "busy"),
    TrialRefusedError: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
    TooManyClientsError: (HTTPStatus.SERVICE_UNAVAILABLE, "too-many-clients"),
    ViewUnavailableError: (HTTPStatus.SERVICE_UNAVAILABLE, "view-unavailable"),
}
_AGAIN: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
_HTTP_NAMES: Final = {
    HTTPStatus.NOT_FOUND: "no-such-resource",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
    HTTPStatus.BAD_REQUEST: "bad-request",
}


def install(app: FastAPI) -> None:
    """Have every error of an application answered as a problem."""
    app.add_exception_handler(ProblemError, _of_problem)
    app.add_exception_handler(ServingError, _of_serving)
    app.add_exception_handler(QueryError, _of_query)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(ResponseValidationError, _of_bug)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_bug)


async def _of_problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return respond(error.status, error.name, str(error), headers=error.headers)


async def _of_serving(_: Request, error: Exception) -> JSONResponse:
    status, name = next(found for kind, found in _KINDS.items() if isinstance(error, kind))
    if isinstance(error, TrialRefusedError):
        return _invalid([FieldProblem(where=f"body.{part}", detail=text) for part, text in error.problems])
    headers = {"Retry-After": str(RETRY_SECONDS)} if status in _AGAIN else None
    return respond(status, name, str(error), headers=headers)


async def _of_query(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, QueryError)
    return _invalid([FieldProblem(where=f"query.{error.part}", detail=str(error))])


async def _of_validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _invalid([_field_problem(one) for one in error.errors()[:_ERRORS_MAX]])


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    where = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        # Its name is the caller's, and nothing of a request is repeated.
        return FieldProblem(where=".".join(where[:-1]), detail="There is a part that is not known")
    return FieldProblem(where=".".join(where), detail=error["msg"])


def _invalid(errors: list[FieldProblem]) -> JSONResponse:
    return respond(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid-request",
        "a part of the request is not as it should be",
        errors=errors,
    )


async def _of_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return respond(
        status, _HTTP_NAMES.get(status, "refused"), status.description or status.phrase, headers=error.headers
    )


async def _of_bug(_: Request, error: Exception) -> JSONResponse:
    del error  # it is logged by whoever called us; a caller learns nothing from it
    return respond(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "the request could not be answered")

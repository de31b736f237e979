"""The application that is served: the API, and room for a console beside it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI

from stream.release import version
from stream.serving import problems
from stream.serving.admission import Admission
from stream.serving.examples import examples
from stream.serving.guarding import Guard
from stream.serving.problems import Problem
from stream.serving.routes import API, document_route, router
from stream.serving.services import Services

_DESCRIPTION: Final = """\
Every account's health, from the Redis view of the topic `snapshots`; tier changes and churn events as they happen; \
and changes of profiles. Errors are problem details (RFC 9457). Money is a decimal string."""


def create_app(services: Services) -> FastAPI:
    """Make the application.

    Under `/api/v1` it is the API; all other paths are free for whoever serves more with the same services. They are
    closed when the application ends.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await services.close()

    app = FastAPI(
        title="account-health",
        version=version(),
        summary="Grades a company's accounts while its orders and support events happen, and says why.",
        description=_DESCRIPTION,
        # Pages that show the description would load their scripts from somebody else.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    settings = services.settings
    app.state.services = services
    app.state.admission = Admission(services.keys, settings.api_requests_per_second, services.metrics)
    problems.install(app)
    # Before the accounts, whose ids may hold slashes.
    app.include_router(document_route(lambda: describe(app)))
    app.include_router(router)
    app.add_middleware(Guard, api=API, local_only=services.keys.is_empty, metrics=services.metrics)
    return app


def describe(app: FastAPI) -> dict[str, Any]:
    """Give the OpenAPI description of the API."""
    document = app.openapi()
    document["components"]["schemas"]["Problem"] = Problem.model_json_schema(
        ref_template="#/components/schemas/{model}"
    )
    schemas = document["components"]["schemas"]
    schemas |= schemas["Problem"].pop("$defs", {})
    for name, example in examples().items():
        schemas[name]["examples"] = [example]
    for path in document["paths"].values():
        for operation in path.values():
            # FastAPI's own shape of a refused request, which is not ours.
            content = operation["responses"].get("422", {}).get("content", {})
            content.pop("application/json", None)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document

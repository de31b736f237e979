"""The API does what its description says, for whatever a client makes of it."""

import json
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from stream.serving.telemetry import ROUTES
from tests.serving.conftest import Api

OPERATIONS: Final = {
    "listAccounts",
    "getAccount",
    "getPortfolio",
    "listWinBack",
    "listChurnMonths",
    "listChanges",
    "followChanges",
    "getStatus",
    "editProfile",
    "tryPolicy",
}
SAFE: Final = sorted(OPERATIONS - {"followChanges"})


@pytest.fixture(scope="module")
def described(api: Api) -> Any:
    """The description that the running process gives of itself."""
    with api.client() as client:
        document = client.get("/openapi.json").json()
    # Whoever is on this machine needs no key here; that others do is for test_access.py.
    for operation in (one for path in document["paths"].values() for one in path.values()):
        del operation["security"]
    return schemathesis.openapi.from_dict(document)


@pytest.mark.parametrize("operation_id", SAFE)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_answer_is_one_that_is_described(
    api: Api, described: Any, operation_id: str, data: st.DataObject
) -> None:
    """Status, content type, headers and body follow the description, and nothing breaks, whatever is sent."""
    operation = described.find_operation_by_id(operation_id)
    mode = data.draw(st.sampled_from(list(GenerationMode)))
    case = data.draw(operation.as_strategy(generation_mode=mode))
    # A cursor that nobody was given, and a search in another order, are refused although they look right.
    case.call_and_validate(base_url=api.url, timeout=30, excluded_checks=[positive_data_acceptance])


def test_every_operation_is_described(api: Api) -> None:
    """Each has a sentence, a name, the answers that refuse it, and examples where something is sent."""
    with api.client() as client:
        document = client.get("/openapi.json").json()
    found = {one["operationId"]: one for path in document["paths"].values() for one in path.values()}

    assert found.keys() == OPERATIONS
    assert {one.replace(":path", "") for one in ROUTES} == document["paths"].keys()
    for operation in found.values():
        assert operation["description"]
        assert operation["security"] == [{"key": []}]
        assert {"401", "403", "422", "429", "503"} <= operation["responses"].keys()
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert response["content"].keys() == {"application/problem+json"}
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    schemas = document["components"]["schemas"]
    for name in (
        "ProfileEdit",
        "EditReceipt",
        "Problem",
        "AccountPage",
        "AccountDetail",
        "ChangePage",
        "Portfolio",
        "ChurnMonths",
    ):
        assert schemas[name]["examples"], name

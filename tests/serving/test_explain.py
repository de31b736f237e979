"""`account-health explain --service`: the dossier that the API gives, and plain words when it gives none."""

import json
from typing import Final

import pytest
from typer.testing import CliRunner

from stream.cli import app
from tests.serving.conftest import READ_KEY, Api

UNREACHABLE: Final = "http://127.0.0.1:9"


def explain(url: str, account_id: str, status: int = 0, **variables: str) -> str:
    """Run the command; give what it said."""
    environment = {"COLUMNS": "160", **variables}
    found = CliRunner(env=environment).invoke(app, ["explain", account_id, "--service", url])
    assert found.exit_code == status, found.output
    return found.output


def test_it_tells_what_the_service_knows(api: Api) -> None:
    """Score, windows and every change that the service keeps of the account."""
    with api.client() as client:
        detail = client.get("/accounts/ACC-00001").json()

    text = explain(api.url + "/", "ACC-00001")

    assert "ACC-00001" in text
    assert detail["snapshot"]["tier"] in text
    assert detail["snapshot"]["windows"]["365"]["revenue"] in text
    assert detail["history"]
    assert json.dumps(detail["history"][0]["trigger_event_id"]).strip('"') in text


def test_a_key_comes_from_the_environment(locked: Api) -> None:
    """Without one the service's own words are repeated; the key itself never is."""
    refused = explain(locked.url, "ACC-00001", 2)
    wrong = explain(locked.url, "ACC-00001", 2, ACCOUNT_HEALTH_SERVICE_KEY="x" * 40)

    assert "401 Unauthorized: a valid API key is needed" in refused
    assert "x" * 40 not in wrong
    assert "ACC-00001" in explain(locked.url, "ACC-00001", ACCOUNT_HEALTH_SERVICE_KEY=READ_KEY)


@pytest.mark.parametrize(
    ("url", "account_id", "said"),
    [
        ("", "nobody/at all", "no account 'nobody/at all'"),
        (UNREACHABLE, "A", f"{UNREACHABLE}: "),
        ("ftp://host", "A", "should be a URL of http or https"),
    ],
    ids=["no such account", "nobody listens", "no address"],
)
def test_what_cannot_be_told_is_one_line_and_code_2(api: Api, url: str, account_id: str, said: str) -> None:
    """No account, no service, no address."""
    assert said in explain(url or api.url, account_id, 2)

"""The file of destinations: checked as a whole, every error at once, no secret ever shown."""

import base64
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from stream.cli import app
from stream.delivery import paths
from stream.delivery.destinations import DestinationsError, HubSpotDestination, WebhookDestination, load_destinations
from tests.delivery.stand import SECRET
from tests.support.tables import Row, table

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "destinations.toml"
HIDDEN: Final = "hunter2-hunter2"

WHOLE: Final = """
[destinations.hooks]
preset = "webhook"
url = "https://hooks.example.com/in"
secret = { env = "HOOKS" }
previous_secret = { file = "FOLDER/previous" }

[destinations.hub]
preset = "hubspot"
token = { env = "TOKEN" }
tier_fields = { health_tier = "tier", revenue = "windows.365.revenue", share = "components.revenue.points_hundredths" }

[destinations.force]
preset = "salesforce"
instance_url = "https://example.my.salesforce.com/"
client_id = { env = "TOKEN" }
client_secret = { env = "TOKEN" }
events = ["account.lost"]

[destinations.zoho]
preset = "zoho"
client_id = { env = "TOKEN" }
client_secret = { env = "TOKEN" }
refresh_token = { env = "TOKEN" }
"""
ENVIRON: Final = {"HOOKS": SECRET, "TOKEN": HIDDEN, "SHORT": base64.b64encode(b"x" * 23).decode(), "ODD": "a\nb"}


def _errors(folder: Path, text: str) -> str:
    path = folder / "destinations.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DestinationsError) as raised:
        load_destinations(path, ENVIRON)
    return str(raised.value)


def test_every_kind_is_read_with_its_secrets(tmp_path: Path) -> None:
    """Secrets come from the environment or from a file, whose line end is no part of them."""
    (tmp_path / "previous").write_text(f"{SECRET}\n", encoding="utf-8")
    path = tmp_path / "destinations.toml"
    path.write_text(WHOLE.replace("FOLDER", str(tmp_path)), encoding="utf-8")

    found = load_destinations(path, ENVIRON)

    assert list(found) == ["hooks", "hub", "force", "zoho"]
    hooks, hub = found["hooks"], found["hub"]
    assert isinstance(hooks, WebhookDestination)
    assert isinstance(hub, HubSpotDestination)
    assert hooks.previous_secret is not None
    assert hooks.secret.reveal() == hooks.previous_secret.reveal() == SECRET
    assert hub.token.reveal() == HIDDEN
    assert found["force"].events == ("account.lost",)
    assert HIDDEN not in repr(found)
    assert SECRET not in repr(found)


def test_every_error_is_listed_at_once(tmp_path: Path) -> None:
    """One reading tells all that is wrong, whichever destination it is in."""
    text = """
    [destinations.hooks]
    preset = "webhook"
    url = "http://hooks.example.com/in"
    secret = { env = "NOT_SET" }
    timeout_seconds = 0
    events = ["account.lost", "account.found"]
    [destinations.Bad_Name]
    preset = "hubspot"
    token = { env = "TOKEN", file = "x" }
    tokn = 1
    tier_fields = { health = "tear", all = "windows" }
    [destinations.force]
    preset = "salesforce"
    client_id = { file = "/nowhere" }
    client_secret = { env = "ACCOUNT_HEALTH_SECRET" }
    [destinations.other]
    preset = "pipedrive"
    """

    told = _errors(tmp_path, text)

    for place in (
        "hooks.url = 'http://hooks.example.com/in'",
        "hooks.secret",
        "hooks.timeout_seconds = 0",
        "hooks.events.1 = 'account.found'",
        "Bad_Name:",
        "Bad_Name.token",
        "Bad_Name.tokn",
        "force.instance_url",
        "force.client_id",
        "force.client_secret.env",
        "other",
    ):
        assert f"destinations.{place}" in told, place
    assert "health = tear: there is no tear in account.tier_changed" in told
    assert "all = windows: holds more than one value" in told
    assert len(told.splitlines()) == 12


@table(
    """
    | what is wrong               | line                                                 | told |
    | no secret                   |                                                      | secret: Field required |
    | a secret in the file        | secret = "hunter2-hunter2"                           | hooks.secret: Input |
    | a secret under another name | sekret = "hunter2-hunter2"                           | hooks.sekret: Extra inputs |
    | a key that is too short     | secret = { env = "SHORT" }                           | 24 to 64 random bytes |
    | a key that is no base64     | secret = { env = "TOKEN" }                           | 24 to 64 random bytes |
    | a secret of two lines       | secret = { env = "ODD" }                             | printable characters |
    | a variable of ours          | secret = { env = "ACCOUNT_HEALTH_X" }                | those are settings |
    | a password in the address   | url = "https://me:hunter2-hunter2@example.com/"      | without a name or password |
    | another scheme              | url = "file:///etc/passwd"                           | https://host/path |
    | no host                     | url = "https:///in"                                  | https://host/path |
    | plain http to elsewhere     | url = "http://127.0.0.1.example.com/"                | plain_http |
    | an address of two lines     | url = "https://exa\\nmple.com/"                    | https://host/path |
    | a lone number               | parallel_accounts = 0                                | greater than or equal to 1 |
    | no events                   | events = []                                          | at least 1 item |
    | no such file                | ca_file = "/nowhere/ca.pem"                          | a file that can be read |
    """
)
def test_what_is_wrong_is_told_and_no_secret_is(tmp_path: Path, row: Row) -> None:
    """Each message names the place and what is allowed; what may be a secret is not repeated."""
    name = row["line"].partition(" ")[0]
    lines = {"url": 'url = "https://example.com/"', "secret": 'secret = { env = "HOOKS" }', name: row["line"]}
    if row["what is wrong"] == "no secret":
        del lines["secret"]
    text = '[destinations.hooks]\npreset = "webhook"\n' + "\n".join(lines.values())

    told = _errors(tmp_path, text)

    assert row["told"] in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "destinations"), ("[destinations]", "at least 1 item"), ("= 1", "not TOML"), ("\xff", "TOML")],
)
def test_a_file_without_destinations_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """An empty file, one that is not TOML, and one that is not there."""
    assert told in _errors(tmp_path, text)
    with pytest.raises(DestinationsError, match="No such file"):
        load_destinations(tmp_path / "missing.toml", {})


def test_the_example_is_valid(tmp_path: Path) -> None:
    """examples/destinations.toml can be used as it is, and also with all that is commented out in it."""
    whole = tmp_path / "whole.toml"
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    start = lines.index("# Remove the comments of what you use.")
    commented = "\n".join([*lines[:start], *(line.removeprefix("#").removeprefix(" ") for line in lines[start + 1 :])])
    whole.write_text(commented.replace("/run/secrets/", f"{tmp_path}/"), encoding="utf-8")
    for name in ("salesforce_client_id", "salesforce_client_secret"):
        (tmp_path / name).write_text(HIDDEN, encoding="utf-8")
    names = ("HUBSPOT_TOKEN", "ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN")

    assert list(load_destinations(EXAMPLE, {"RECEIVER_SECRET": SECRET})) == ["receiver"]
    assert list(load_destinations(whole, {"RECEIVER_SECRET": SECRET, **dict.fromkeys(names, HIDDEN)})) == [
        "receiver",
        "hubspot",
        "salesforce",
        "zoho",
    ]


def test_check_lists_the_errors_of_destinations_too(tmp_path: Path) -> None:
    """`account-health check` tries the file with all else, and exits with 2."""
    path = tmp_path / "destinations.toml"
    path.write_text('[destinations.hooks]\npreset = "webhook"\n', encoding="utf-8")
    environ = {"ACCOUNT_HEALTH_DESTINATIONS_FILE": str(path), "ACCOUNT_HEALTH_PARTITIONS": "0"}

    result = CliRunner().invoke(app, ["check"], env=environ)

    assert result.exit_code == 2
    assert "ACCOUNT_HEALTH_PARTITIONS = 0" in result.stderr
    assert "destinations.hooks.url" in result.stderr
    assert "destinations.hooks.secret" in result.stderr


@pytest.mark.parametrize(
    "command", [["deliver"], ["deliver", "--dry-run"], ["deliveries", "redrive", "--destination", "x"]]
)
def test_a_command_without_a_file_says_what_is_missing(command: list[str]) -> None:
    """The variable is named, and the exit code is that of a wrong setting."""
    result = CliRunner().invoke(app, command, env={})

    assert result.exit_code == 2
    assert "ACCOUNT_HEALTH_DESTINATIONS_FILE must be set" in result.stderr


@table(
    """
    | path                              | type                 | problem                                  |
    | tier                              | account.tier_changed |                                          |
    | windows.365.revenue               | account.tier_changed |                                          |
    | components.profit.delta_hundredths| account.tier_changed |                                          |
    | reasons                           | account.lost         |                                          |
    | value_at_stake                    | account.lost         |                                          |
    | value_at_stake                    | account.tier_changed | there is no value_at_stake               |
    | windows.365                       | account.tier_changed | holds more than one value                |
    | components                        | account.tier_changed | holds more than one value                |
    | tier.name                         | account.tier_changed | there is no name in tier of              |
    | windows.365.revenue.x             | account.tier_changed | there is no x in windows.365.revenue of  |
    """
)
def test_a_path_is_checked_against_the_contract(row: Row) -> None:
    """Every default of a preset is a path that exists; others are told with what there is."""
    found = paths.problem(row["path"], row["type"])

    assert (found or "").startswith(row["problem"])
    assert (found is None) is (row["problem"] == "")

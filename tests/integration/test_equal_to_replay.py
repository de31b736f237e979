"""A worker over Kafka and a replay of files come to the same result, value by value."""

import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

from models.events import InputTopic
from stream.files import merge
from stream.replay import DEAD_LETTERS_FILE
from stream.sending import Sender
from stream.settings import Settings
from stream.simulation.export import file_of
from tests.support.changes import that_do_not_add_up
from tests.support.deployment import Deploy, History, differences, gaps, replayed
from tests.support.topics import headers_of, text_of
from tests.support.worker import run_command


def test_online_retail_comes_out_as_its_replay(online_retail: History, deploy: Deploy) -> None:
    """A real year of orders and refunds gives the tier changes, churn events and snapshots of its replay."""
    deployment = deploy()
    deployment.produce(online_retail.path, "--end-of-input")
    worker = deployment.worker().start()

    deployment.wait_settled(worker)

    published = deployment.published()
    assert differences(online_retail.replayed, published) == ""
    assert that_do_not_add_up(online_retail.replayed.tier_changes) == []
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []
    assert len(published.snapshots) == len(online_retail.replayed.snapshots) > 4000


def test_a_company_on_three_topics_comes_out_as_its_replay(deploy: Deploy, tmp_path: Path) -> None:
    """Orders, support and profiles are merged by record timestamp: as the merged files, late and bad records too."""
    folder = tmp_path / "company"
    options = ("--accounts", "100", "--days", "500", "--until", "2026-06-30", "--currency", "GBP")
    run_command({}, "simulate", "--out", str(folder), "--malformed-share", "0.02", *options)
    files = [folder / file_of(topic) for topic in InputTopic]
    expected = replayed(files, tmp_path / "replay")
    deployment = deploy()
    _send(files, deployment.settings)
    worker = deployment.worker().start()

    deployment.wait_settled(worker)

    published = deployment.published()
    assert differences(expected, published) == ""
    assert gaps(published.tier_changes) == gaps(published.churn_events) == []
    with (tmp_path / "replay" / DEAD_LETTERS_FILE).open("rb") as lines:
        refused = Counter((one["reason"], one["value"]) for one in map(json.loads, lines))
    letters = deployment.dead_letters()
    assert Counter((headers_of(one)["dead_letter_reason"], text_of(one)) for one in letters) == refused
    assert refused.total() > 50
    account_id, changes = max(expected.tier_changes.items(), key=lambda one: len(one[1]))
    assert len(changes) > 1
    dossier = _dossier(deployment.variables, account_id)
    assert dossier == _dossier({}, account_id, "--folder", str(tmp_path / "replay"))
    assert all(change["trigger_event_id"] in dossier for change in changes if change["trigger_event_id"])


def _dossier(variables: Mapping[str, str], account_id: str, *options: str) -> str:
    """Let `explain` tell of an account; when it was last looked at is told by a replay alone, which looks at all."""
    printed = run_command({**variables, "COLUMNS": "200"}, "explain", account_id, *options)
    return re.sub(r"as of \S+ \S+", "", printed)


def _send(files: Sequence[Path], settings: Settings) -> None:
    """Send files to their topics, each record a millisecond after the one before it.

    Of records of one millisecond on several topics nobody can tell which came first: the worker takes them in an order
    of its own, which need not be that of the files.
    """
    now_ms = time.time_ns() // 1_000_000
    lines = list(merge(files, now_ms))
    milliseconds = count(now_ms - 2 * len(lines))
    # in the middle of the millisecond, so that no rounding reaches another
    sender = Sender(settings, lambda: (next(milliseconds) + 0.5) / 1000)
    for line in lines:
        sender.send(line)
    moments = [line.occurred_ms for line in lines if line.occurred_ms is not None]
    sender.end_input(max(moment for moment in moments if moment <= now_ms), ZoneInfo("UTC"))
    sender.close()
    assert sender.failed == 0, sender.first_failure

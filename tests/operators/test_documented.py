"""The commands of docs/operating.md, run as they stand."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.operators.staged import event, order
from tests.support.deployment import Deploy
from tests.support.topics import read_topic
from tests.support.worker import environment

_PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
_BLOCK: Final = re.compile(r"(?P<comment><!-- [^\n]* -->\n)?```sh\n(?P<commands>.*?)```", re.DOTALL)
_COMMENT: Final = "<!-- run against a broker -->\n"
_SECONDS_MAX: Final = 60


def test_every_command_of_the_page_succeeds(deploy: Deploy, tmp_path: Path) -> None:
    """Each block on its own, by the shell, with the settings of an application that has worked and was stopped."""
    deployment = deploy(partitions="1")
    events = [*(order(f"A-{day % 3}", day) for day in range(9)), order("A-1", 9, currency="USD")]
    path = tmp_path / "events.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in (*events, event("A-1", 10, "clock.advanced"))))
    deployment.produce(path)
    worker = deployment.worker().start()
    deployment.wait_settled(worker)
    assert worker.terminate() == 0
    deployment.dismiss(worker)
    blocks = _BLOCK.findall(_PAGE.read_text(encoding="utf-8"))
    variables = {**environment(deployment.variables), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    assert {comment for comment, _ in blocks} == {_COMMENT}
    for _, commands in blocks:
        done = subprocess.run(
            ["sh", "-euc", commands],
            check=False,
            cwd=tmp_path,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS_MAX,
        )

        assert done.returncode == 0, f"{commands}{done.stdout}"
    assert json.loads((tmp_path / "audit.json").read_text())["ok"]
    # What was refused was sent again.
    (refused,) = deployment.dead_letters()
    sent = [one.value() for one in read_topic(deployment.settings, deployment.settings.topics.orders)]
    assert sent.count(refused.value()) == 2

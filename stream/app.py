"""The Faust app: one agent for each input, and the accounts as a table."""

import tempfile
from typing import Any, Final

import faust
from faust import Stream

from models.events import InputTopic
from stream.accounts import AccountsTable, Tables
from stream.engine import Batch, Engine
from stream.settings import Settings
from stream.transport import BatchSchema, install

ACCOUNTS_TABLE: Final = "accounts"
AGENT_NAMES: Final = {topic: f"account-health.{topic}" for topic in InputTopic}
"""Wire names of the agents: Faust would derive them from the path of a function."""


def build_app(settings: Settings, engine: Engine) -> faust.App:
    """Build the app around an engine that is connected. There is no global one."""
    app = faust.App(
        settings.application_id,
        broker=f"kafka://{settings.bootstrap_servers.split(',')[0]}",
        topic_partitions=engine.partitions,
        web_enabled=False,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        worker_redirect_stdouts=False,
        store="memory://",
        TableManager=Tables,
        # Two agents' batches in hand are enough: what waits, waits in the engine, where it is counted.
        stream_buffer_maxsize=2,
        autodiscover=False,
        # Faust makes this folder, and writes nothing into it here.
        datadir=tempfile.gettempdir(),
    )
    install(app, engine, tuple(settings.topics.of_input(topic) for topic in InputTopic))
    for topic in InputTopic:
        channel = app.topic(settings.topics.of_input(topic), schema=BatchSchema(), value_type=bytes)
        app.agent(channel, name=AGENT_NAMES[topic])(_agent(engine))
    app.tables.add(AccountsTable(app, name=ACCOUNTS_TABLE, engine=engine, partitions=engine.partitions))
    return app


def _agent(engine: Engine) -> Any:
    async def run(batches: Stream[Batch]) -> None:
        async for batch in batches:
            await engine.process(batch)

    return run

"""Faults of the broker and of what others do to it: restarts, refusals, strangers' transactions."""

from uuid import uuid4

from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource

from stream.administration import plans
from stream.topics import STATE
from tests.chaos.application import RESTORE_DEADLINE_S, TRANSACTION_TIMEOUT_MS, Application, ChaosError
from tests.chaos.scene import Scene, Struck
from tests.chaos.strangers import Stranger
from tests.support.deployment import PARTITIONS

_ALL = frozenset(range(PARTITIONS))
_SMALL_BYTES = 100
_LIMIT = "max.message.bytes"
_LONG_MS = 900_000
_TOOL = "org.apache.kafka.tools.TransactionsCommand"


def kill_broker(scene: Scene) -> Struck:
    """Kill the broker, and start it again."""
    scene.get_busy()
    before = scene.app.positions()
    scene.broker.kill()
    scene.broker.start()
    return Struck("killed the broker", before, scene.app.positions(), _ALL)


def restart_broker(scene: Scene) -> Struck:
    """Stop the broker as an operator does, and start it again."""
    scene.get_busy()
    before = scene.app.positions()
    scene.broker.restart()
    return Struck("restarted the broker", before, scene.app.positions(), _ALL)


def refuse_records(scene: Scene) -> Struck:
    """Let the broker refuse what a worker writes until it has aborted a transaction, which it does again."""
    app = scene.app
    aborts = {name: _aborts(app, name) for name in app.wanted}
    scene.get_busy()
    before = app.positions()
    _limit_records(app, _SMALL_BYTES)
    try:

        def aborted() -> str | None:
            return next((name for name in app.running() if _aborts(app, name) > aborts.get(name, 0)), None)

        victim = app.until(aborted, "a transaction is aborted")
        after, held = app.positions(), app.held_by(victim)
    finally:
        (plan,) = (one for one in plans(app.settings) if one.topic is STATE)
        _limit_records(app, int(plan.config[_LIMIT]))
    return Struck(f"refused what {victim} wrote", before, after, frozenset(held))


def _aborts(app: Application, name: str) -> int:
    return app.worker(name).log.count("transaction aborted")


def _limit_records(app: Application, bytes_max: int) -> None:
    change = ConfigEntry(_LIMIT, str(bytes_max), incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ConfigResource.Type.TOPIC, app.topics.state, incremental_configs=[change])
    app.admin.incremental_alter_configs([topic])[topic].result()


def abort_of_another(scene: Scene) -> Struck:
    """Somebody writes junk to state and outputs and aborts; a worker has to restore across it."""
    app = scene.app
    victim, partitions = scene.busy_victim()
    stranger = Stranger(app.settings, f"stranger-{uuid4()}", TRANSACTION_TIMEOUT_MS)
    stranger.start()
    stranger.write(min(partitions), scene.feeder.recent_keys(), scene.chance)
    stranger.abort()
    before = app.positions()
    app.worker(victim).kill()
    return Struck(f"aborted junk, killed {victim}", before, app.positions(), partitions)


def hang(scene: Scene) -> Struck:
    """Somebody leaves a transaction open on state and outputs; a worker has to wait until the broker aborts it."""
    app = scene.app
    # Whoever has opened the partition before does not wait for what comes later.
    app.wait_balanced()
    victim, partitions = scene.busy_victim()
    partition = min(partitions)
    stranger = Stranger(app.settings, f"stranger-{uuid4()}", TRANSACTION_TIMEOUT_MS)
    stranger.start()
    stranger.write(partition, scene.feeder.recent_keys(), scene.chance)
    before, opened = app.positions(), app.opened_times(partition)
    app.worker(victim).kill()
    struck = Struck(f"left junk open, killed {victim}", before, app.positions(), frozenset({partition}))
    if struck.outstanding == 0:
        stranger.abort()
        return struck
    # Not only until all is processed: the last commit of the victim may have been on its way.
    app.until(lambda: app.opened_times(partition) > opened, f"partition {partition} is opened again")
    if stranger.may_commit():
        raise ChaosError("a transaction that a worker did not wait for could commit")
    return struck


def hang_long(scene: Scene) -> Struck:
    """A transaction hangs for longer than a worker waits: it says which command ends it, and that is run."""
    app = scene.app
    app.wait_balanced()
    victim, partitions = scene.busy_victim()
    partition = min(partitions)
    stranger = Stranger(app.settings, f"stranger-{uuid4()}", _LONG_MS)
    stranger.start()
    stranger.write(partition, scene.feeder.recent_keys(), scene.chance)
    before = app.positions()
    app.worker(victim).kill()
    after = app.positions()
    told = f"{app.topics.state} [{partition}] has a transaction that hangs"

    def refused() -> str | None:
        return next((line for line in app.ended if told in line), None)

    line = app.until(refused, f"a worker gives up after {RESTORE_DEADLINE_S} s")
    _, _, arguments = line.partition("kafka-transactions.sh ")
    scene.broker.run_tool(_TOOL, *arguments.split())
    # That command ends it on one partition; on the outputs it would hold back readers for as long as it may be open.
    stranger.abort()
    return Struck(
        f"left junk open, killed {victim}, ran the command that its successor told", before, after, partitions
    )

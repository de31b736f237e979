"""One application under faults: its topics, its workers with a supervisor, its group, and how far it has come."""

import json
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition
from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove

from models.events import InputTopic
from stream.topics import TOPICS, group_id
from tests.chaos.entry import Breakpoint, Plant, program
from tests.support.deployment import PARTITIONS, Deployment
from tests.support.polling import eventually
from tests.support.topics import ends, quiet_admin
from tests.support.worker import WorkerProcess

T = TypeVar("T")
DEADLINE_S: Final = 120.0
"""Of every wait: much longer than anything takes on a machine that does other work too."""
_PROCESSED_S: Final = 600.0
"""To process what is there, as long as it goes on."""
SESSION_TIMEOUT_MS: Final = 6000
"""The shortest that a worker takes."""
TRANSACTION_TIMEOUT_MS: Final = 4000
RESTORE_DEADLINE_S: Final = 10
_ASK_TIMEOUT_S: Final = 30.0
_ENDS_MAX: Final = 20
"""So often the supervisor starts ended workers again between two faults."""
_SETTINGS: Final = {
    "session_timeout_ms": str(SESSION_TIMEOUT_MS),
    "max_poll_interval_ms": "30000",
    "grace_period_seconds": "15",
    "transaction_timeout_ms": str(TRANSACTION_TIMEOUT_MS),
    "restore_deadline_seconds": str(RESTORE_DEADLINE_S),
    # many commits, and so many points between two of them
    "commit_interval_ms": "100",
    "catch_up_commit_interval_ms": "200",
    "batch_records": "50",
    "snapshot_interval_ms": "200",
}


class ChaosError(AssertionError):
    """Something that no fault explains."""


class Place(NamedTuple):
    """One partition of one input."""

    topic: InputTopic
    partition: int


class Positions(NamedTuple):
    """How far the inputs go, and how far they are processed."""

    ends: dict[Place, int]
    committed: dict[Place, int]

    def outstanding(self, later: "Positions", partitions: Iterable[int]) -> int:
        """Count the records of some partitions that were there now, and were not processed at a later moment."""
        chosen = set(partitions)
        return sum(
            max(0, end - later.committed[place]) for place, end in self.ends.items() if place.partition in chosen
        )

    def as_json(self) -> dict[str, list[int]]:
        """Return it as JSON values: of each input partition, the position and the end."""
        return {f"{place.topic}/{place.partition}": [self.committed[place], end] for place, end in self.ends.items()}


class Application:
    """Topics and workers. A worker that is wanted and has ended is started again by whoever waits for something.

    Leaving the context ends the workers.
    """

    def __init__(self, bootstrap_servers: str, folder: Path, plant: Plant | None, **changed: str) -> None:
        self.deployment: Final = Deployment(bootstrap_servers, folder, **{**_SETTINGS, **changed})
        self.settings: Final = self.deployment.settings
        self.topics: Final = self.settings.topics
        self.wanted: Final[set[str]] = set()
        """The workers that the supervisor keeps running."""
        self.ended: Final[list[str]] = []
        """Workers that ended by themselves since this was last emptied: their names and last lines."""
        self.admin: Final = quiet_admin(self.settings)
        # Not the administrator: it may fall over when it asks for a coordinator while there is none.
        self._group: Final = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": group_id(self.settings.application_id),
                "enable.auto.commit": False,
                # What is committed by now, and not what an open transaction is going to commit.
                "isolation.level": "read_uncommitted",
                "log_level": 0,
            }
        )
        self._places: Final = [Place(topic, number) for topic in InputTopic for number in range(PARTITIONS)]
        self._changed: Final = changed
        self._folder: Final = folder / self.settings.application_id
        self._plant: Final = plant
        self._workers: Final[dict[str, WorkerProcess]] = {}

    def create_topics(self) -> None:
        """Make its topics."""
        self.deployment.create_topics()

    def rebuilt(self) -> "Application":
        """Prepare another application beside this one on the same inputs, as docs/operating.md says."""
        changed = {**self._changed, "input_topic_prefix": self.topics.input_prefix}
        return Application(self.settings.bootstrap_servers, self._folder.parent, self._plant, **changed)

    def worker(self, name: str) -> WorkerProcess:
        """Give a worker, which may not be running."""
        if name not in self._workers:
            variables = self.deployment.variables
            self._workers[name] = WorkerProcess(variables, self._folder, name, program=program(self._plant))
        return self._workers[name]

    def tend(self) -> None:
        """Start the wanted workers that have ended: as a supervisor does, whatever the reason."""
        for name in sorted(self.wanted):
            worker = self.worker(name)
            if worker.running:
                continue
            if (line := worker.last_words()) is not None:
                self.ended.append(f"{name}: {line}")
                if len(self.ended) > _ENDS_MAX:
                    raise ChaosError("\n".join(["workers end again and again:", *self.ended]))
            worker.start()

    def until(
        self,
        condition: Callable[[], T | None],
        what: str,
        *,
        interval_s: float = 0.02,
        timeout_s: float = DEADLINE_S,
        progress: Callable[[], object] | None = None,
        still_s: float = DEADLINE_S,
    ) -> T:
        """Wait for a condition, with the supervisor at work."""

        def met() -> T | None:
            self.tend()
            return condition()

        return eventually(met, what, timeout_s=timeout_s, interval_s=interval_s, progress=progress, still_s=still_s)

    def running(self) -> list[str]:
        """Name the workers that run and are wanted."""
        return sorted(name for name in self.wanted if self.worker(name).running)

    def stop(self, *names: str) -> None:
        """Ask workers to stop, together, and do not start them again."""
        self.wanted.difference_update(names)
        asked = [self.worker(name) for name in names if self.worker(name).running]
        for worker in asked:
            worker.send(signal.SIGTERM)
        for worker in asked:
            # What it ended of may have come before it was asked to.
            if worker.wait(DEADLINE_S) and (line := worker.last_words()) is not None:
                self.ended.append(f"{worker.instance_id}: {line}")

    def kill(self, name: str) -> None:
        """Kill a worker, and do not start it again."""
        self.wanted.discard(name)
        self.worker(name).kill()

    def stop_at(self, name: str, point: Breakpoint, times: int = 1) -> None:
        """Wait until a worker has come to a breakpoint, where it is paused."""
        worker = self.worker(name)
        worker.folder.mkdir(parents=True, exist_ok=True)
        path = worker.folder / point
        path.write_text(str(times))
        if point is Breakpoint.RESTORE:
            worker.kill()
        try:
            self.until(lambda: worker.paused, f"{name} comes to {point}", interval_s=0.002)
        finally:
            path.unlink(missing_ok=True)

    def owners(self) -> dict[int, str]:
        """Tell which worker has opened each partition, of those that can be asked."""
        found: dict[int, str] = {}
        for name in self.running():
            if not self.worker(name).paused:
                found |= dict.fromkeys(self._opened_by(name), name)
        return found

    def held_by(self, name: str) -> set[int]:
        """Name the partitions of a worker."""
        return {partition for partition, owner in self.owners().items() if owner == name}

    def ended_by_itself(self, name: str, why: str = "") -> bool:
        """Tell whether a worker has ended, with such a last line, since the fault began."""
        return any(line.startswith(f"{name}: ") and why in line for line in self.ended)

    def wait_balanced(self) -> None:
        """Wait until every partition has an owner, and every worker a partition: until nothing is about to move."""

        def balanced() -> bool:
            owners = self.owners()
            return len(owners) == PARTITIONS and set(owners.values()) == self.wanted

        self.until(balanced, "every worker holds partitions")

    def opened_times(self, partition: int) -> int:
        """Count how often a partition was opened, by whichever worker."""
        line = f" opened partition {partition}: "
        files = [worker.log_file for worker in self._workers.values()]
        return sum(file.read_text(errors="replace").count(line) for file in files if file.exists())

    def busiest(self, chance: Random) -> str:
        """Choose a running worker that holds partitions."""

        def holders() -> list[str]:
            owners = self.owners()
            running = self.running()
            return sorted({one for one in owners.values() if one in running}) if len(owners) == PARTITIONS else []

        return chance.choice(self.until(holders, "every partition has an owner"))

    def remove_members(self, *names: str) -> None:
        """Take stopped workers out of the group, as an operator does who wants nobody to wait for their sessions."""
        admin = KafkaAdminClient(bootstrap_servers=self.settings.bootstrap_servers)
        try:
            members = [MemberToRemove(group_instance_id=name) for name in names]
            admin.remove_group_members(group_id(self.settings.application_id), members)
        finally:
            admin.close()

    def positions(self) -> Positions:
        """Ask how far the inputs go, and how far the group has committed."""
        held = self._committed()
        found = {
            Place(topic, number): end
            for topic in InputTopic
            for number, end in ends(self.admin, self.topics.of_input(topic), PARTITIONS).items()
        }
        return Positions(found, held)

    def processed(self) -> int:
        """Count the offsets of all inputs that the group has committed."""
        return sum(self._committed().values())

    def wait_processed(self, goal: dict[Place, int], what: str) -> None:
        """Wait until the group's offsets have reached these."""
        behind: dict[Place, int] = {}

        def reached() -> bool:
            nonlocal behind
            held = self._committed()
            behind = {place: held[place] for place, offset in goal.items() if held[place] < offset}
            return not behind

        self.until(reached, what, interval_s=0.05, timeout_s=_PROCESSED_S, progress=lambda: behind)

    def delete_topics(self) -> None:
        """Delete its topics, but not inputs of another."""
        shared = self.topics.input_prefix != self.topics.prefix
        names = [self.topics.of(one) for one in TOPICS if not (shared and one.is_input)]
        for future in self.admin.delete_topics(names, request_timeout=_ASK_TIMEOUT_S).values():
            future.result()

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers.values():
            worker.kill()
        self._group.close()

    def _opened_by(self, name: str) -> list[int]:
        try:
            _, answer = self.worker(name).ask("/readyz")
        except (AssertionError, OSError):
            # It has ended meanwhile.
            return []
        opened: list[int] = json.loads(answer)["assigned"] if answer else []
        return opened

    def _committed(self) -> dict[Place, int]:
        """Ask for the group's offsets; what has none is not read yet."""
        asked = [TopicPartition(self.topics.of_input(place.topic), place.partition) for place in self._places]

        def found() -> list[TopicPartition] | None:
            try:
                return self._group.committed(asked, _ASK_TIMEOUT_S)
            except KafkaException:
                # a broker that was restarted finds its groups a little later than it answers
                return None

        answer = eventually(found, "the group's offsets", timeout_s=DEADLINE_S)
        return {place: max(0, one.offset) for place, one in zip(self._places, answer, strict=True)}

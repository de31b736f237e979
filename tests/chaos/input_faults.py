"""Faults of inputs and offsets: what a worker refuses, and never skips; and records that it must refuse or take."""

from collections.abc import Callable, Collection
from random import Random
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from typer.testing import CliRunner

from models.events import InputTopic
from stream.cli import app as command_line
from stream.cluster import Cluster
from stream.positions import last_checkpoint
from stream.topics import SPEC_OF_INPUT, Cleanup, group_id
from tests.chaos.application import Application, ChaosError, Place, Positions
from tests.chaos.scene import Scene, Struck
from tests.support.topics import delete_topic

_MOVED_MAX: Final = 20
_LEAD_MAX: Final = 100
_RUBBISH: Final = range(150, 400)
_SIZES: Final = range(30, 80)
_TRIMMED: Final = tuple(topic for topic, spec in SPEC_OF_INPUT.items() if spec.cleanup is Cleanup.DELETE)
"""From a topic that is compacted brokers delete no records."""
_WIDTH: Final = "1000"
"""Columns of a terminal in which no line of a command is wrapped."""


def move_offsets(scene: Scene) -> Struck:
    """Set an offset of the group by hand: the worker refuses, and the command that it names puts it back."""
    app = scene.app
    scene.get_busy()
    crew, before, after = _stopped(scene)
    place = _unfinished(before, after, scene.chance)
    if place is None:
        return _too_late(scene, crew, before, after)
    held = after.committed[place]
    moved = max(0, held + scene.chance.choice([-1, 1]) * scene.chance.randint(1, _MOVED_MAX))
    moved += moved == held
    _set_offset(app, place, moved)
    name = app.topics.of_input(place.topic)
    told = f"the group's offset of {name} [{place.partition}] is {moved}, the state's is {held}"
    _refuse(app, crew, told)
    _command(app, 0, "", "positions", "reset", "--to", "checkpoint", "--yes")
    _still(app, after, place.partition)
    app.wanted.update(crew)
    return Struck(f"moved the offset of {place.topic} {place.partition}", before, after, frozenset({place.partition}))


def trim(scene: Scene) -> Struck:
    """Delete records of an input that were not read: the worker refuses, and is built again beside."""
    scene.get_busy()
    crew, before, after = _stopped(scene)
    place = _unfinished(before, after, scene.chance, _TRIMMED)
    if place is None:
        return _too_late(scene, crew, before, after)
    app, held = scene.app, after.committed[place]
    with scene.feeder.paused():
        scene.retire(app)
        start = scene.chance.randrange(held + 1, app.positions().ends[place] + 1)
        name = app.topics.of_input(place.topic)
        cut = TopicPartition(name, place.partition, start)
        app.admin.delete_records([cut])[cut].result()
        told = f"{name} [{place.partition}] was trimmed: offsets {held} to {start - 1} are gone unread"
        goal = _rebuild(scene, crew, told)
        _still(app, after, place.partition)
    what = f"trimmed {place.topic} {place.partition} from {held} to {start}, rebuilt beside"
    return Struck(what, before, after, frozenset({place.partition}), goal)


def make_anew(scene: Scene) -> Struck:
    """Delete an input and make it anew: the worker refuses, and is built again beside."""
    scene.get_busy()
    crew, before, after = _stopped(scene)
    place = _unfinished(before, after, scene.chance)
    if place is None:
        return _too_late(scene, crew, before, after)
    app, name = scene.app, scene.app.topics.of_input(place.topic)
    with scene.feeder.paused():
        scene.retire(app)
        delete_topic(app.admin, name)
        app.create_topics()
        goal = _rebuild(scene, crew, f"the topic of {name} [")
        _still(app, after, place.partition)
    what = f"made {place.topic} anew, rebuilt beside"
    return Struck(what, before, after, frozenset({place.partition}), goal)


def send_rubbish(scene: Scene) -> Struck:
    """Kill a worker among records that it must refuse."""
    count = scene.chance.choice(_RUBBISH) * scene.attempt
    return _kill_among(scene, lambda: f"{scene.feeder.send_rubbish(count)} bad records")


def send_sizes(scene: Scene) -> Struck:
    """Kill a worker among records of every size up to what the broker takes."""
    count = scene.chance.choice(_SIZES) * scene.attempt
    return _kill_among(scene, lambda: f"records of up to {scene.feeder.send_sizes(count)} bytes")


def _kill_among(scene: Scene, send: Callable[[], str]) -> Struck:
    app = scene.app
    victim = app.busiest(scene.chance)
    partitions = frozenset(app.held_by(victim))
    goal = app.processed() + scene.chance.randrange(1, _LEAD_MAX)
    what = send()
    app.until(lambda: app.processed() >= goal, "some of it is processed", interval_s=0.005)
    before = app.positions()
    app.worker(victim).kill()
    return Struck(f"sent {what}, killed {victim}", before, app.positions(), partitions)


def _stopped(scene: Scene) -> tuple[list[str], Positions, Positions]:
    """Stop all workers; return their names, and where it stood before and after."""
    app = scene.app
    crew = sorted(app.wanted)
    before = app.positions()
    app.stop(*crew)
    after = app.positions()
    # Nobody waits for their sessions: the next one gets all partitions at once.
    app.remove_members(*crew)
    return crew, before, after


def _too_late(scene: Scene, crew: list[str], before: Positions, after: Positions) -> Struck:
    """Let the workers go on: there is nothing left that could be disturbed."""
    scene.app.wanted.update(crew)
    return Struck("did nothing", before, after, frozenset())


def _unfinished(
    before: Positions, after: Positions, chance: Random, topics: Collection[InputTopic] = tuple(InputTopic)
) -> Place | None:
    """Choose a partition of these inputs that has records which were not processed."""
    places = [place for place, end in before.ends.items() if after.committed[place] < end and place.topic in topics]
    return chance.choice(places) if places else None


def _refuse(app: Application, crew: list[str], told: str) -> None:
    """Make sure that a worker refuses to start, with such a last line."""
    (first, *_) = crew
    app.wanted.add(first)
    app.until(lambda: app.ended_by_itself(first, told), f"{first} refuses: {told}")
    app.kill(first)
    app.remove_members(first)


def _still(app: Application, after: Positions, partition: int) -> None:
    """Make sure that nothing of a partition was processed."""
    # Not the group's offsets: those of a topic go with it.
    checkpoint = last_checkpoint(Cluster(app.settings), app.settings, partition)
    for topic in InputTopic:
        held = after.committed[Place(topic, partition)]
        found = 0 if checkpoint is None else checkpoint.inputs[topic].next_offset
        if found != held:
            raise ChaosError(f"a worker that refused {topic} {partition} went on from {held} to {found}")


def _rebuild(scene: Scene, crew: list[str], told: str) -> dict[Place, int]:
    """See that nothing goes on, follow the recipe that the command gives; return what then has to be processed."""
    app = scene.app
    _refuse(app, crew, told)
    _command(app, 1, told, "positions", "reset", "--to", "checkpoint", "--yes")
    _command(app, 1, "Rebuild beside it instead", "positions", "reset", "--to", "beginning", "--yes")
    app.close()
    scene.app = app.rebuilt()
    _command(scene.app, 0, "", "topics", "create")
    scene.app.wanted.update(crew)
    return scene.app.positions().ends


def _command(app: Application, code: int, told: str, *arguments: str) -> None:
    """Run a command of the operator, which has to end with a code and to say something."""
    result = CliRunner().invoke(command_line, arguments, env={**app.deployment.variables, "COLUMNS": _WIDTH})
    if result.exit_code != code or told not in result.output:
        raise ChaosError(f"account-health {' '.join(arguments)} ended with {result.exit_code}: {result.output}")


def _set_offset(app: Application, place: Place, offset: int) -> None:
    group = group_id(app.settings.application_id)
    one = TopicPartition(app.topics.of_input(place.topic), place.partition, offset)
    asked = [ConsumerGroupTopicPartitions(group, [one])]

    def was_set() -> bool:
        try:
            found = app.admin.alter_consumer_group_offsets(asked)[group].result().topic_partitions
        except KafkaException:
            # a member that was taken out is still there for a moment
            return False
        return all(each.error is None for each in found)

    app.until(was_set, "the offset is set")

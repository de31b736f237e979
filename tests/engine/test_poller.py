"""The poll thread as a member of a group, on a real broker."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer
from kafka.admin import KafkaAdminClient, MemberToRemove

from stream.orphans import Orphans
from stream.poller import Poller
from stream.settings import Settings, load_settings
from stream.topics import group_id
from tests.support.broker import KafkaBroker
from tests.support.deployment import PARTITIONS, Deployment
from tests.support.polling import eventually


class Owner:
    """Holds what the group gives, and hears nothing else."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.failures: list[str] = []
        self.join_state = ""
        """How far the client is with joining, as it says itself."""

    def on_assigned(self, partitions: list[int], _: int) -> None:
        """Hold them at once."""
        self.held.update(partitions)

    async def on_revoked(self, partitions: list[int]) -> None:
        """Give them back at once."""
        self.held.difference_update(partitions)

    def on_statistics(self, text: str) -> None:
        """Keep what a test waits for."""
        self.join_state = json.loads(text).get("cgrp", {}).get("join_state", "")

    def fail(self, reason: str) -> None:
        """Note it."""
        self.failures.append(reason)

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop beside the test."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def other_member(settings: Settings, name: str = "other") -> Iterator[list[int]]:
    """Let a worker as the group sees it be a member too; tells how often the group was dealt anew.

    It ends without leaving the group, as static members do.
    """
    dealt, ended = [0], threading.Event()
    member = Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "group.id": group_id(settings.application_id),
            "group.instance.id": name,
            "client.id": name,
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
            "heartbeat.interval.ms": 200,
        }
    )

    def assigned(*_: Any) -> None:
        dealt[0] += 1

    def run() -> None:
        member.subscribe([settings.topics.orders], on_assign=assigned)
        while not ended.is_set():
            member.poll(0.05)
        member.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield dealt
    finally:
        ended.set()
        thread.join()


def test_a_group_deals_anew_as_often_as_it_is_asked_to(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Joining again is no change of the subscription, of which the client would make nothing the second time."""
    owner, orphans = Owner(), list[int]()

    def found() -> list[int]:
        return [orphans.pop()] if orphans else []

    with (
        Deployment(kafka.bootstrap_servers, tmp_path, instance_id="this").create_topics() as deployment,
        running_loop() as loop,
        other_member(deployment.settings) as dealt,
    ):
        poller = Poller(deployment.settings, owner, loop)
        eventually(lambda: dealt[0], "the other one is a member")
        poller.start()
        eventually(lambda: len(owner.held) == PARTITIONS // 2, "both have their part")
        poller._orphans = SimpleNamespace(found=found)  # type: ignore[assignment]  # finds what it is told
        for _ in range(3):
            before = dealt[0]
            orphans.append(0)
            eventually(lambda before=before: dealt[0] > before, "the group deals anew")  # type: ignore[misc]  # bound now
            eventually(lambda: len(owner.held) == PARTITIONS // 2, "it has its part again")
        assert asyncio.run(poller.stop(30))

    assert owner.failures == []


def remove_member(settings: Settings, name: str) -> None:
    """Take a member out of the group, as the end of its session does."""
    with closing(KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)) as admin:
        admin.remove_group_members(group_id(settings.application_id), [MemberToRemove(group_instance_id=name)])


def test_who_was_no_member_for_a_while_fails(kafka: KafkaBroker, tmp_path: Path) -> None:
    """Also if it was joining again when it was put out, of which the client says nothing: others had its partitions."""
    owner = Owner()
    with (
        Deployment(kafka.bootstrap_servers, tmp_path, instance_id="this").create_topics() as deployment,
        running_loop() as loop,
    ):
        settings = deployment.settings
        poller = Poller(settings, owner, loop)
        poller.start()
        eventually(lambda: len(owner.held) == PARTITIONS, "it holds all partitions")
        with other_member(settings, "silent"):
            eventually(lambda: len(owner.held) == PARTITIONS // 2, "both have their part")
        # Whoever joins now waits for the silent one.
        with other_member(settings):
            eventually(lambda: owner.join_state == "wait-join", "it joins again")
            remove_member(settings, "this")
            remove_member(settings, "silent")
            eventually(lambda: owner.failures, "it fails")
            asyncio.run(poller.stop(30))

    assert "another member" in owner.failures[0]


def described(**members: list[int]) -> dict[str, Any]:
    """Describe a stable group: who holds which partitions; who is no worker has no name of its own."""
    return {
        "group_state": "Stable",
        "members": [
            {
                "member_id": f"{name}-1",
                "client_id": name,
                "group_instance_id": None if name == "stranger" else name,
                "member_assignment": {"assigned_partitions": [{"topic": "t.orders", "partitions": held}]},
            }
            for name, held in members.items()
        ],
    }


@pytest.mark.parametrize(
    ("members", "asked_for"),
    [
        ({"this": [0, 1], "other": [2, 3]}, []),
        ({"this": [0], "other": [2, 3]}, [1]),
        ({"this": [0, 1], "other": [3]}, []),
        ({"this": [0], "that": [1]}, []),
        ({"this": [0], "zeta": [1]}, [2, 3]),
        ({"this": [0], "other": [2, 3], "stranger": []}, [1]),
        ({"other": [2, 3], "stranger": []}, []),
    ],
    ids=["all held", "has least", "has more", "second by name", "first by name", "beside a stranger", "not a member"],
)
def test_one_worker_asks_for_what_nobody_holds(members: dict[str, list[int]], asked_for: list[int]) -> None:
    """The one that loses least by it, and a stranger, who never asks, is not waited for."""
    settings = load_settings(
        {
            "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "ACCOUNT_HEALTH_INSTANCE_ID": "this",
            "ACCOUNT_HEALTH_TOPIC_PREFIX": "t.",
        }
    )

    assert Orphans(settings, partitions=4)._without_owner(described(**members)) == asked_for

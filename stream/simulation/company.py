"""The whole company: all accounts' records, merged by the time of their sending."""

import heapq
import itertools
from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import NamedTuple

from models.events import InputTopic
from models.fields import epoch_ms
from models.reasons import RefusalReason
from stream.simulation.delivery import Draft, Mark, deliver
from stream.simulation.happening import Episode, Fields
from stream.simulation.life import acquisition_gap_days
from stream.simulation.orders import order_episodes
from stream.simulation.persona import Persona, draw_persona
from stream.simulation.profiles import profile_episodes
from stream.simulation.spec import DAY_MS, SimulationSpec, sub_random
from stream.simulation.support import support_episodes, survey_episodes, trouble_episodes


class SimulatedRecord(NamedTuple):
    """One record as a producer sends it."""

    topic: InputTopic
    key: bytes
    """The account's id, of malformed records too."""
    value: bytes
    """One line of UTF-8 text, without its end."""
    produced_ms: int
    """When it is sent, in milliseconds since the epoch: the record's timestamp."""


class LabelledRecord(NamedTuple):
    """A record, and what only its maker knows of it."""

    record: SimulatedRecord
    persona: Persona
    mark: Mark
    reason: RefusalReason | None
    """Why it must be refused; None unless malformed."""
    fields: Fields
    """The event; of a malformed record, the one that it is a copy of."""


class Simulation:
    """A company that goes on for ever: the same records for the same spec and seed.

    Accounts have random numbers of their own, so that a company with more accounts has the same
    first ones. Every call makes the company anew; memory is bounded by the number of accounts.
    """

    def __init__(self, spec: SimulationSpec, seed: int) -> None:
        self.spec = spec
        self.seed = seed

    def history(self, until: datetime | None = None) -> Iterator[SimulatedRecord]:
        """Yield what was sent before a moment, in the order of sending.

        None means the end of the spec's last day. Raises ValueError for a moment without an offset
        from UTC.
        """
        return (labelled.record for labelled in self.labelled_history(until))

    def labelled_history(self, until: datetime | None = None) -> Iterator[LabelledRecord]:
        """Yield the same records as `history`, with the truth about each."""
        end_ms = self.spec.end_ms if until is None else _moment_ms(until)
        sent = itertools.takewhile(lambda pair: pair[1].produced_ms < end_ms, self._drafts())
        return itertools.starmap(_labelled, sent)

    def live(self, from_moment: datetime) -> Iterator[SimulatedRecord]:
        """Yield what is sent from a moment on, for ever.

        `history(moment)` and `live(moment)` together are all that is sent. Existing accounts go on
        as they were, new ones are acquired at the pace of the history. Raises ValueError for a
        moment without an offset from UTC.
        """
        start_ms = _moment_ms(from_moment)
        sent = itertools.dropwhile(lambda pair: pair[1].produced_ms < start_ms, self._drafts())
        return (_labelled(persona, draft).record for persona, draft in sent)

    def personas(self) -> Iterator[Persona]:
        """Yield the accounts of the history, by number."""
        return (draw_persona(self.spec, self.seed, index) for index in range(self.spec.accounts))

    def _drafts(self) -> Iterator[tuple[Persona, Draft]]:
        """Merge the accounts' records; an account takes part from its first day."""
        arrivals = self._arrivals()
        arriving: Persona = next(arrivals)
        heap: list[tuple[int, int, Draft, Persona, Iterator[Draft]]] = []
        while True:
            while not heap or arriving.life.start_day * DAY_MS <= heap[0][0]:
                drafts = self._account_drafts(arriving)
                first = next(drafts)
                # The account's number decides between equal times, before drafts would be compared.
                heapq.heappush(heap, (first.produced_ms, arriving.index, first, arriving, drafts))
                arriving = next(arrivals)
            _, index, draft, persona, drafts = heap[0]
            yield persona, draft
            following = next(drafts, None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (following.produced_ms, index, following, persona, drafts))

    def _arrivals(self) -> Iterator[Persona]:
        """Yield the accounts in the order of their first days, for ever."""
        yield from sorted(self.personas(), key=attrgetter("life.start_day"))
        random = sub_random(self.seed, "newcomers")
        per_day = 1 / acquisition_gap_days(self.spec)
        day = self.spec.last_day + 1.0
        for index in itertools.count(self.spec.accounts):
            day += random.expovariate(per_day)
            yield draw_persona(self.spec, self.seed, index, int(day))

    def _account_drafts(self, persona: Persona) -> Iterator[Draft]:
        """Yield one account's records in the order of their sending."""
        delivery_random = sub_random(self.seed, "account", persona.index, "delivery")
        pending: list[tuple[int, int, Draft]] = []
        serial = itertools.count()
        for base_ms, happenings in self._episodes(persona):
            # Nothing that comes from here on is sent before the episode begins.
            while pending and pending[0][0] < base_ms:
                yield heapq.heappop(pending)[2]
            for happening in happenings:
                for draft in deliver(happening, delivery_random, self.spec):
                    heapq.heappush(pending, (draft.produced_ms, next(serial), draft))
        while pending:
            yield heapq.heappop(pending)[2]

    def _episodes(self, persona: Persona) -> Iterator[Episode]:
        currency = self.spec.currency
        path = ("account", persona.index)
        profiles = sub_random(self.seed, *path, "profiles")
        orders = sub_random(self.seed, *path, "orders")
        support = sub_random(self.seed, *path, "support")
        return heapq.merge(
            profile_episodes(persona, profiles, currency),
            order_episodes(persona, orders, currency),
            support_episodes(persona, support),
            survey_episodes(persona, support),
            trouble_episodes(persona, support),
            key=itemgetter(0),
        )


def _labelled(persona: Persona, draft: Draft) -> LabelledRecord:
    key = persona.account_id.encode()
    record = SimulatedRecord(draft.topic, key, draft.value(), draft.produced_ms)
    return LabelledRecord(record, persona, draft.mark, draft.reason, draft.fields)


def _moment_ms(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError("the moment needs an offset from UTC")
    return epoch_ms(moment)

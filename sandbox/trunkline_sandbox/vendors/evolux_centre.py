"""Evolux's contact centre: calls of the dialer and of queues, pauses, agents and queues (facts/siblings.md 5.1 to 5.6).

Their rows belong together: pauses and calls name agents, agents and calls name queues.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from trunkline_sandbox import instants
from trunkline_sandbox.instants import SECOND
from trunkline_sandbox.store import Row, Table
from trunkline_sandbox.world import World, guid, mix, person, phone

if TYPE_CHECKING:
    from collections.abc import Callable

AGENTS = 12
QUEUES = ((1, "Suporte", "suporte"), (2, "Vendas", "vendas"), (3, "Cobrança", "cobranca"), (4, "Retenção", "retencao"))
CAMPAIGNS = ((7, "Renovação 2026"), (8, "Boas-vindas"), (9, "Pesquisa"))
REASONS = ((1, "Almoço", False), (2, "Treinamento", True), (3, "Banheiro", False))
QUICK = 30  # seconds
BUSY, NO_ANSWER, NONE = "USER_BUSY", "NO_ANSWER", "-"


@dataclass(frozen=True)
class Listing:
    """One list of the contact centre.

    Attributes:
        stream: Name of what is listed.
        path: Where it is.
        key: Columns that distinguish rows.
        make: Makes row `i`, of its instant in microseconds and of 64 bits for the rest of it.
        time: Column that the dates look at; empty where there are none.
        most: Rows of a page at most; 0 where all stand in one response.
        keeps: Parameters that the pagination's URLs keep.
        rows: How many rows a world of some size has.
    """

    stream: str
    path: str
    key: tuple[str, ...]
    make: Callable[[World, int, int, int], Row]
    _: KW_ONLY
    time: str = ""
    most: int = 50
    keeps: tuple[str, ...] = ("start_date", "end_date")
    rows: Callable[[int], int] = int

    def table(self, world: World) -> Table:
        """Make the rows."""
        count = self.rows(world.size)
        at = world.times(world.random(f"evolux/{self.stream}").getrandbits(64), count, SECOND)
        if not self.time:
            return Table(self.key, {"order": lambda row: row["id"]}, count=count, make=self._made(world), when=_same)
        clock = {self.time: lambda row: instants.parse_iso(row[self.time])}
        return Table(self.key, clock, count=count, make=self._made(world), when=lambda i: at(i)[0])

    def _made(self, world: World) -> Callable[[int], Row]:
        count = self.rows(world.size)
        at = world.times(world.random(f"evolux/{self.stream}").getrandbits(64), count, SECOND)
        return lambda i: self.make(world, i, *at(i))


def agents_of(world: World) -> int:
    """Return how many agents a world has."""
    return min(AGENTS, world.size)


def _same(i: int) -> int:
    return i + 1


def _iso(instant: int) -> str:
    return instants.iso(instant, tail="+00:00")


def _agent(world: World, bits: int) -> Row:
    """Pick an agent, as other rows name it."""
    number = 1 + bits % max(1, agents_of(world))
    first, last = person(mix(world.seed, number))
    return {"login": f"agente{number}", "id": number, "name": f"{first} {last}"}


def _make_dialer_call(world: World, i: int, start: int, bits: int) -> Row:
    """Make a call of the dialer; of three one is not answered, and then no agent is named."""
    answered, talking = bits % 3 > 0, (bits >> 4) % 600
    agent = _agent(world, bits >> 16)
    campaign, name = CAMPAIGNS[(bits >> 24) % len(CAMPAIGNS)]
    ring = 5 + (bits >> 12) % 20
    first, last = person(bits >> 28)
    return {
        "id": 1 + i,
        "uuid": guid(world.seed, i),
        "start_time": _iso(start),
        "answer_time": _iso(start + ring * SECOND) if answered else None,
        "end_time": _iso(start + (ring + (talking if answered else 0)) * SECOND),
        "campaign": {"id": campaign, "name": name},
        "agent": {"id": agent["id"], "name": agent["name"]} if answered else None,
        "subscriber": {"external_id": f"C-{bits % 5000}", "number": phone(bits >> 20), "name": f"{first} {last}"},
        "survey": {"csat": None, "nps": (bits >> 32) % 11 if answered and bits & 8 else None},
        "talking_duration": talking if answered else 0,
        "billable_duration": float(-(-talking // 6) * 6) if answered else 0,
        "outcome": ("Venda", "Retornar", NONE)[(bits >> 36) % 3] if answered else NONE,
        "hangup_cause": "NORMAL_CLEARING" if answered else (BUSY if bits & 16 else NO_ANSWER),
        "end_by": "agent" if bits & 32 else "subscriber",
        "classification": NONE,
        "trunk_name": "tronco-1",
        "custom_fields": {"contrato": str(bits % 100_000)},
        "download_audio": f"https://example.evolux.net.br/audio/{1 + i}.mp3" if answered else None,
    }


def _make_pause(world: World, i: int, start: int, bits: int) -> Row:
    """Make a pause; some were limited and some ran over."""
    del i
    agent, length = _agent(world, bits >> 8), 60 + (bits >> 16) % 3000
    limit = 1800 if bits & 1 else None
    return {
        "agent_id": agent["id"],
        "time_start": _iso(start),
        "description": REASONS[(bits >> 4) % len(REASONS)][1],
        "time_end": _iso(start + length * SECOND),
        "agent": agent,
        "limit": limit,
        "duration": length,
        "overflow": max(0, length - limit) if limit else 0,
    }


def _make_agent(world: World, i: int, at: int, bits: int) -> Row:
    """Make an agent; the last one has left, and every fourth has never paused."""
    del bits
    agent = _agent(world, i)
    reason, text, productive = REASONS[i % len(REASONS)]
    of_reason = {"id": reason, "description": text, "system": False, "productive": productive, "type": "pause"}
    pause = {
        "id": 500 + i,
        "time_start": _iso(at),
        "time_end": _iso(at + 600 * SECOND),
        "max_duration": None,
        "reason_id": reason,
        "reason": of_reason,
    }
    login = {"id": 900 + i, "exten": f"sip/{600 + i}", "time_login": _iso(at - 3600 * SECOND), "time_logoff": None}
    return {
        "id": agent["id"],
        "name": agent["name"],
        "login": agent["login"],
        "archived": i == AGENTS - 1,
        "enable": i != AGENTS - 1,
        "queues": [queue for queue, _, _ in QUEUES if (queue + i) % 2],
        "current_extension": f"sip/{600 + i}" if i % 3 == 0 else None,
        "current_outbound_queue": 2 if i % 3 == 0 else None,
        "current_pause": 500 + i if i % 6 == 0 else None,
        "last_pause": pause if i % 4 else None,
        "last_login": login,
    }


def _make_queue(world: World, i: int, at: int, bits: int) -> Row:
    """Make a queue; the last one is archived, which the vendor does not show."""
    del world, at, bits
    number, name, slug = QUEUES[i]
    public = None if i % 2 else f"551140000{number:03d}"
    return {"id": number, "name": name, "slug": slug, "number": str(5000 + number), "public_number": public} | {
        "archived": i == len(QUEUES) - 1
    }


def _make_queue_call(world: World, i: int, joined: int, bits: int) -> Row:
    """Make a call of a queue; every fifth was given up before an agent had it."""
    queue, name, slug = QUEUES[bits % len(QUEUES)]
    connected, wait, length = bits % 5 > 0, (bits >> 8) % 120, (bits >> 16) % 900
    agent: Row = _agent(world, bits >> 24) if connected else {}
    first, last = person(bits >> 12)
    area = f"{11 + bits % 80}"
    return {
        "call_id": 1 + i,
        "queue_id": queue,
        "queue_name": name,
        "queue_slug": slug,
        "agent_id": agent.get("id"),
        "agent_login": agent.get("login"),
        "agent_name": agent.get("name"),
        "call_type_description": "Entrada" if bits & 64 else "Saída",
        "date_join": _iso(joined),
        "time_join": _iso(joined),
        "time_connect": _iso(joined + wait * SECOND) if connected else None,
        "time_leave": _iso(joined + (wait + (length if connected else 0)) * SECOND),
        "wait_duration": wait,
        "call_duration": length if connected else 0,
        "asa": "Sim" if connected and wait < QUICK else "Não",
        "call_reason": "",
        "call_issues": [],
        "caller_name": f"{first} {last}",
        "caller_number": phone(bits >> 20),
        "caller_area": area,
        "receicer_name": name,
        "receiver_number": str(5000 + queue),
        "receiver_area": "11",
        "did_number": f"551140000{queue:03d}",
        "city": None,
        "state": None,
        "csat": "",
        "nps": "",
        "nps_enterprise": "",
        "protocol_number": f"{joined // SECOND}{i}",
        "flag": "",
        "trunk_name": "tronco-1",
        "end_by_description": "Agente" if bits & 128 else "Cliente",
        "external_services": [],
        "download_audio": f"https://example.evolux.net.br/audio/q{1 + i}.mp3" if connected else "",
    }


LISTINGS = (
    Listing("dialer_calls", "/api/v1/dialer/calls_history", ("id",), _make_dialer_call, time="start_time"),
    Listing(
        "agent_pauses",
        "/api/v1/report/complete_pause",
        ("agent_id", "time_start"),
        _make_pause,
        time="time_start",
        most=100,
        keeps=("start_date", "end_date", "limit"),
    ),
    Listing("agents", "/api/v1/agents", ("id",), _make_agent, rows=lambda size: min(size, AGENTS)),
    Listing("queues", "/api/v1/queues", ("id",), _make_queue, most=0, rows=lambda size: min(size, len(QUEUES))),
    Listing("queue_calls", "/api/v1/report/calls_history", ("call_id",), _make_queue_call, time="date_join"),
)
"""Its lists."""

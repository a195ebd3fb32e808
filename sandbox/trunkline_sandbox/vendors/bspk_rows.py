"""BSPK's made-up stores, associates and clients, and what happens between them: one world for all of its lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trunkline_sandbox import instants
from trunkline_sandbox.instants import DAY, SECOND
from trunkline_sandbox.world import COMPANIES, World, person, phone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trunkline_sandbox.store import Row

_MILLI = 1000  # microseconds; the vendor writes milliseconds
_ASSOCIATES, _CLIENTS = 36, 400
_NAMELESS = 105  # one store has no name
_WITH = ("store_id", "store_name", "sales_associate_id", "sales_associate_name", "client_id", "client_name")
_FROM = ("template_id", "template_name", "slice_id", "media")
_ENTRY = (*_WITH, "title", "body", "starts_at", "ends_at", "is_done", "is_done_at", "notes", "created_at", "updated_at")
_CHANNELS, _JOBS = ("sms", "whatsapp", "email", "line"), ("Manager", "Sales Associate", "Stylist")
_PURPOSES = ("Capsule collection", "Fitting", "Repair", "Birthday gift", "Private viewing")


def _of_both() -> dict[str, str]:
    return {"client_ids": "client_id", "sales_associate_ids": "sales_associate_id"}


@dataclass(frozen=True)
class Kind:
    """One list of the vendor.

    Attributes:
        fields: Columns of a row, in the vendor's order.
        key: Columns that distinguish rows.
        people: The list's parameters about people, and the columns that they are about.
        count: Rows of the made-up world; as many as the world's size when 0.
    """

    fields: tuple[str, ...]
    key: tuple[str, ...] = ("sales_associate_id", "client_id", "created_at")
    people: Mapping[str, str] = field(default_factory=_of_both)
    count: int = 0


KINDS: Mapping[str, Kind] = {
    "calls": Kind((*_WITH, "to", "created_at")),
    "messages": Kind(
        (*_WITH, "body", "channel", *_FROM, "created_at"),
        ("sales_associate_id", "client_id", "channel", "created_at"),
    ),
    "emails": Kind((*_WITH, *_FROM, "created_at")),
    "notes": Kind((*_WITH, "body", "media", "created_at")),
    "appointments": Kind(_ENTRY),
    "reminders": Kind(_ENTRY),
    "slices": Kind(
        (
            "store_id", "store_name", "created_by_sales_associate_id", "created_by_sales_associate_name", "title",
            "body", "created_at", "updated_at", "item_ids",
        ),
        ("created_by_sales_associate_id", "created_at"),
        {"sales_associate_ids": "created_by_sales_associate_id"},
    ),
    "sales_associates": Kind(
        (
            "created_at", "updated_at", "current_store_id", "associate_id", "associate_id_2", "sales_associate_name",
            "username", "email", "mobile_phone", "job_title", "imessage_enabled", "wechat_enabled", "wechat_code",
            "line_enabled", "adyen_enabled",
        ),
        ("username", "created_at"),
        {"sales_associate_ids": "associate_id"},
        _ASSOCIATES,
    ),
    "clients": Kind(
        (
            "current_sales_associate_id", "current_sales_associate_name", "current_store_id", "current_store_name",
            "client_id", "name", "first_name", "last_name", "email", "mobile_phone", "other_phone", "birthday",
            "gender", "nationality", "passport_number", "language", "title", "address", "addresses",
            "preferred_contact_channel", "communication_preferences", "preferences", "interests", "preferred_journey",
            "segment", "referred_by_client_id", "referred_at", "consent", "notify_of_new_collection",
            "last_contacted_at", "created_at", "updated_at",
        ),
        ("client_id", "created_at"),
        {"client_ids": "client_id", "sales_associate_ids": "current_sales_associate_id"},
        _CLIENTS,
    ),
}  # fmt: skip
"""The vendor's lists by name."""


def _millis(instant: int) -> str:
    return instants.iso(instant, digits=3)


class People:
    """The brand's stores, associates and clients, and the rows about them.

    Args:
        world: Seed, amount and days of the made-up data.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        dice = world.random("bspk")
        self._salt = dice.getrandbits(64)
        self.stores = [
            (f"Store-external_id-{n}", None if n == _NAMELESS else f"{COMPANIES[n % len(COMPANIES)]} {n}")
            for n in range(100, 112)
        ]
        # Of each person the name's bits are kept: the lists of people write it in two parts.
        self.associates = [
            (f"SA_{n}", dice.getrandbits(16), *self.stores[n % len(self.stores)]) for n in range(10, 10 + _ASSOCIATES)
        ]
        self.clients = [
            (f"CLI_{n}", dice.getrandbits(16), None if n % 4 == 0 else phone(dice.getrandbits(32)))
            for n in range(1000, 1000 + _CLIENTS)
        ]
        bits = (*(one[1] for one in self.associates), *(one[1] for one in self.clients))
        self._names = {each: " ".join(person(each)) for each in bits}

    def count(self, name: str) -> int:
        """Return how many rows a list has; people are all there as soon as anything is."""
        return min(self.world.size, 1) * KINDS[name].count or self.world.size

    def rows(self, name: str) -> tuple[Callable[[int], Row], Callable[[int], int]]:
        """Return the maker of row `i` of a list, and the function of the instant it was created at."""
        salt = self._salt if name == "calls" else self.world.random(f"bspk/{name}").getrandbits(64)
        at = self.world.times(salt, self.count(name), _MILLI)
        build: Callable[[int, int, int], Row] = getattr(self, f"_{name}")

        def make(i: int) -> Row:
            return build(i, *at(i))

        return make, lambda i: at(i)[0]

    def _with(self, bits: int) -> Row:
        associate_id, associate, store_id, store_name = self.associates[bits % _ASSOCIATES]
        client_id, client, _ = self.clients[(bits >> 20) % _CLIENTS]
        return {
            "store_id": store_id,
            "store_name": store_name,
            "sales_associate_id": associate_id,
            "sales_associate_name": self._names[associate],
            "client_id": client_id,
            "client_name": self._names[client],
        }

    def _updated(self, created: int, bits: int) -> int:
        """Return a third of the rows change within two days, and none behind the last day."""
        later = created + (bits >> 40) % (2 * DAY // _MILLI) * _MILLI if bits % 3 == 0 else created
        return max(created, min(later, self.world.start + self.world.days * DAY - _MILLI))

    def _dated(self, created: int, bits: int) -> Row:
        return {"created_at": _millis(created), "updated_at": _millis(self._updated(created, bits))}

    def _calls(self, _i: int, created: int, bits: int) -> Row:
        to = self.clients[(bits >> 20) % _CLIENTS][2]
        return {**self._with(bits), "to": to, "created_at": _millis(created)}

    @staticmethod
    def _sent(i: int, bits: int) -> Row:
        template = (bits >> 30) % 5 if i % 3 else 0
        return {
            "template_id": str(template) if template else None,
            "template_name": _PURPOSES[template] if template else None,
            "slice_id": (bits >> 34) % 90 + 1 if i % 4 == 0 else None,
            "media": [{"url": f"https://media.example/{i}.jpg", "type": "image"}] if i % 5 == 0 else [],
        }

    def _messages(self, i: int, created: int, bits: int) -> Row:
        row = {**self._with(bits), **self._sent(i, bits), "created_at": _millis(created)}
        body = None if row["media"] else f"Dzień dobry, {_PURPOSES[bits % 5]} 🎁"
        return {**row, "body": body, "channel": _CHANNELS[(bits >> 50) % len(_CHANNELS)]}

    def _emails(self, i: int, created: int, bits: int) -> Row:
        return {**self._with(bits), **self._sent(i, bits), "created_at": _millis(created)}

    def _notes(self, i: int, created: int, bits: int) -> Row:
        media = [{"url": f"https://media.example/note-{i}.jpg"}] if i % 7 == 0 else []
        body = f"Wants to hear of: {_PURPOSES[bits % 5]}"
        return {**self._with(bits), "body": body, "media": media, "created_at": _millis(created)}

    def _entry(self, created: int, bits: int, length: int) -> Row:
        dated = self._dated(created, bits)
        starts, done = created + (1 + bits % 9) * DAY, dated["updated_at"] != dated["created_at"]
        body = f"{_PURPOSES[(bits >> 8) % 5]}, {1 + bits % 4} pieces"
        return {
            **self._with(bits),
            "title": _PURPOSES[(bits >> 8) % 5],
            "body": body,
            "starts_at": _millis(starts),
            "ends_at": _millis(starts + length) if length else None,
            "is_done": done,
            "is_done_at": dated["updated_at"] if done else None,
            "notes": body,
            **dated,
        }

    def _appointments(self, i: int, created: int, bits: int) -> Row:
        return self._entry(created, bits, 0 if i % 6 == 0 else 3600 * SECOND)

    def _reminders(self, _i: int, created: int, bits: int) -> Row:
        return self._entry(created, bits, 0)

    def _slices(self, i: int, created: int, bits: int) -> Row:
        associate_id, associate, store_id, store_name = self.associates[bits % _ASSOCIATES]
        return {
            "store_id": store_id,
            "store_name": store_name or "Pop-up",
            "created_by_sales_associate_id": associate_id,
            "created_by_sales_associate_name": self._names[associate],
            "title": _PURPOSES[(bits >> 8) % 5] if i % 3 else None,
            "body": None,
            **self._dated(created, bits),
            "item_ids": [f"ITEM_{(bits >> shift) % 5000:04d}" for shift in range(0, 6 * (1 + i % 4), 6)],
        }

    def _sales_associates(self, i: int, created: int, bits: int) -> Row:
        associate_id, associate, store_id, _ = self.associates[i]
        return {
            **self._dated(created, bits),
            "current_store_id": store_id,
            "associate_id": associate_id,
            "associate_id_2": f"HR-{i:04d}" if i % 2 else None,
            "sales_associate_name": self._names[associate],
            "username": f"username-{i}",
            "email": f"associate{i}@brand.example",
            "mobile_phone": phone(bits >> 16) if i % 3 else None,
            "job_title": _JOBS[i % len(_JOBS)],
            "imessage_enabled": i % 2 == 0,
            "wechat_enabled": i % 5 == 0,
            "wechat_code": f"wx{i}" if i % 5 == 0 else None,
            "line_enabled": i % 7 == 0,
            "adyen_enabled": i % 4 == 0,
        }

    def _clients(self, i: int, created: int, bits: int) -> Row:
        client_id, client, mobile = self.clients[i]
        associate_id, associate, store_id, store_name = self.associates[bits % _ASSOCIATES]
        first, last = person(client)
        city = {"address": f"{1 + bits % 90} Long Street", "city": "Cape Town", "zip": "8001", "country_code": "ZA"}
        address = dict.fromkeys(("address", "address_2", "address_3", "address_4", "city", "state")) | city
        allowed = ("chat", "email", "phone", "whatsapp", "wechat", "line")
        return {
            "current_sales_associate_id": associate_id,
            "current_sales_associate_name": self._names[associate],
            "current_store_id": store_id,
            "current_store_name": store_name,
            "client_id": client_id,
            "name": self._names[client],
            "first_name": first,
            "last_name": last,
            "email": f"client{i}@mail.example" if i % 3 else None,
            "mobile_phone": mobile,
            "other_phone": None,
            "birthday": f"19{50 + bits % 50}-0{1 + bits % 9}-1{bits % 10}" if i % 4 == 0 else None,
            "gender": ("F", "M", "NB", None)[bits % 4],
            "nationality": "ZA" if i % 2 else None,
            "passport_number": f"P{bits % 10**8:08d}" if i % 10 == 0 else None,
            "language": ("en", "pl", "ja")[bits % 3],
            "title": None,
            "address": "",
            "addresses": [address] if i % 2 else [],
            "preferred_contact_channel": ("email", "whastapp", None)[bits % 3],
            "communication_preferences": {
                **{f"{name}_opt_in": bool(bits >> place & 1) for place, name in enumerate(allowed)},
                "opt_out": i % 20 == 0,
            },
            "preferences": [],
            "interests": [_PURPOSES[bits % 5]] if i % 6 == 0 else [],
            "preferred_journey": None,
            "segment": ("VIP", "Regular", None)[i % 3],
            "referred_by_client_id": self.clients[i - 1][0] if i % 25 == 24 else None,  # noqa: PLR2004 - some of them
            "referred_at": _millis(created) if i % 25 == 24 else None,  # noqa: PLR2004 - the same
            "consent": i % 20 != 0,
            "notify_of_new_collection": i % 3 == 0,
            "last_contacted_at": _millis(self._updated(created, bits)),
            **self._dated(created, bits),
        }


__all__ = ["KINDS", "Kind", "People"]

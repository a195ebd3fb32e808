"""tap-conpeek: requests (cases) of voice campaigns.

Rests on the vendor's page "Read Voice Campaign Requests", for the fields on the payloads of its webhook pages.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from trunkline import feeds, instants, plan, whole
from trunkline.ahead import Outcome
from trunkline.client import Request
from trunkline.errors import BadAnswer, Refused, TrunklineError, Unproven, shown
from trunkline.facts import VendorTap, array, common, header, objects, switch, text, token
from trunkline.shape import encode
from trunkline.stream import EMPTY, Page, Rows, WindowedStream

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from trunkline.ahead import Desk, Feed, Ticket
    from trunkline.client import Reply
    from trunkline.feeds import Jobs
    from trunkline.plan import Window
    from trunkline.stream import VendorStream

OPEN_STATES = ("OPEN", "PROCESSING")


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw]
    success: Any = None  # this and the next one as on the vendor's other routes
    error: Any = None


class _State(msgspec.Struct):
    state: Any = None


class _Dates(msgspec.Struct):
    created_date: str | None = None
    closed_date: str | None = None


@dataclass(frozen=True)
class StillOpen:
    """The requests of a span that are not closed: their state may have changed without any date."""

    window: Window


@dataclass(frozen=True)
class CampaignRows(Rows):
    """Rows of one campaign; `only_open` when they were asked for by their state."""

    campaign: str = ""
    only_open: bool = False


class VoiceCampaignRequests(WindowedStream):
    """The requests of the configured campaigns: those still open first, then span by span the created and closed."""

    name, path = "voice_campaign_requests", "/voice_campaign/{voice_campaign_id}/request"
    primary_keys, replication_key = ("id",), "changed_at"
    latest = {"changed_at": ("created_date", "closed_date")}  # noqa: RUF012 - a fact, never changed
    inclusive = True  # `gte`, "more or equal"
    state_partitioning_keys = ("voice_campaign_id",)
    text_or_number = (
        "name", "contact_info", "contact_identifier", "contact_number", "current_contact_number", "case_id",
        "case_group", "process_date", "process_time", "process_day", "trigger_code",
    )  # fmt: skip
    text_or_json = ("custom", "custom_fields")
    read_answer = msgspec.json.Decoder(_Answer).decode
    read_dates = msgspec.json.Decoder(_Dates).decode
    read_state = msgspec.json.Decoder(_State).decode

    # -- which campaigns, and from where -----------------------------------------------------------

    def feeds(self, listeners: Sequence[VendorStream]) -> Iterator[Feed]:
        """A feed for each campaign, with a bookmark of its own."""
        for campaign in dict.fromkeys(self.config["voice_campaign_ids"]):
            context = {"voice_campaign_id": campaign}
            try:
                start = self.run.begin_partition(context, self)
            except TrunklineError as exc:  # a bookmark that can't be read: the other campaigns have theirs
                self.run.fail(context, exc)
                continue
            if start:
                yield feeds.WindowFeed(
                    self.jobs(start), functools.partial(self.read_campaign, campaign), context, listeners
                )

    def jobs(self, start: plan.Start) -> Jobs:
        """Before the windows, whatever is still open; one that is closed meanwhile is found among the closed."""
        since = instants.floor(self.start_date, self.tick) if self.start_date else None
        return super().jobs(start).preceded_by(StillOpen(plan.Window(since, self.until)))

    @property
    def parts(self) -> int:
        """The campaigns."""
        return len(set(self.config["voice_campaign_ids"]))

    def left_out(self) -> Iterable[str]:
        """What the vendor is asked not to send."""
        return self.config.get("exclude") or ()

    # -- reading -----------------------------------------------------------------------------------

    def read_campaign(self, campaign: str, job: Any, desk: Desk) -> Generator[Ticket, Reply, Outcome]:
        """Read one job of a campaign, or let a campaign go that is not there any more."""
        try:
            return (yield from self._read(campaign, job, desk))
        except Refused as exc:
            if exc.status != HTTPStatus.NOT_FOUND or not self.config["skip_missing_campaigns"]:
                raise
            if isinstance(job, StillOpen):
                self.run.notes.append(f"campaign {campaign} is not there (404) and was skipped; its bookmark stays")
            return Outcome(empty=True)

    def _read(self, campaign: str, job: Any, desk: Desk) -> Generator[Ticket, Reply, Outcome]:
        still_open = isinstance(job, StillOpen)
        window = job.window if still_open else job
        dates = ("created_date",) if still_open else ("created_date", "closed_date")
        spans = [CampaignRows(window, (), by, campaign, still_open) for by in dates]
        firsts = [self.queue(desk, span, 0, self.page_size) for span in spans]
        given: list[tuple[CampaignRows, Reply]] = []
        marker = None
        for place, span in enumerate(spans):

            def give(page: Page, reply: Reply, span: CampaignRows = span) -> None:
                given.append((replace(span, rows=page.rows), reply))

            question = whole.Question(
                window,
                self.page_size,
                functools.partial(self.queue, desk, span),
                give,
                functools.partial(self.split, window, span.by),
                may_wait=not still_open and self.may_wait(window),
                may_leave=still_open,
            )
            verdict = yield from whole.read_whole(question, firsts[place])
            if isinstance(verdict, feeds.Unsettled):
                marker = marker or verdict
            elif not isinstance(verdict, int):
                desk.forget(firsts[place + 1 :])
                return Outcome(split=tuple(map(StillOpen, verdict) if still_open else verdict))
        for rows, reply in given:
            desk.give((self, rows), reply)
        if not still_open:
            desk.give(marker or feeds.Proven(window))
        return Outcome(empty=not any(rows.rows for rows, _ in given))

    def queue(self, desk: Desk, span: CampaignRows, offset: int, limit: int) -> Ticket:
        """Queue the request for a campaign's requests from an offset on, at most `limit`."""
        what = "still open" if span.only_open else span.by.removesuffix("_date")
        since, until = self.bounds(span.window)
        wanted = [
            *([{"property": "state", "value": list(OPEN_STATES)}] if span.only_open else []),
            *([{"property": span.by, "operator": "gte", "value": _date(since)}] if since else []),
            {"property": span.by, "operator": "lte", "value": _date(until)},
            *self.config.get("filter", ()),
        ]
        exclude = self.config.get("exclude")
        request = Request(
            f"{self.name} of {span.campaign}, {what}, {span.window}, offset {offset}",
            f"/voice_campaign/{quote(span.campaign, safe='')}/request",
            (
                ("limit", str(limit)),
                ("offset", str(offset)),
                ("filter", encode(wanted).decode()),
                *([("exclude", encode(exclude).decode())] if exclude else []),
            ),
            # Each campaign's requests are counted for themselves.
            stream=self.run.label({"voice_campaign_id": span.campaign}),
            endpoint=self.name,
        )
        return desk.ask(request, self.open)

    def split(self, window: Window, by: str, page: Page) -> Sequence[Window]:
        """Smaller windows for one that holds more than an answer, by what the answer covers."""
        dates = []
        for raw in page.rows:
            with contextlib.suppress(msgspec.MsgspecError, ValueError, TypeError):  # told when the row's turn comes
                dates.append(instants.from_iso(getattr(self.read_dates(raw), by)))
        if not dates:
            return window.halves(self.grain) or ()
        return window.pieces(min(dates), max(dates), self.grain)

    def open(self, reply: Reply) -> Page:
        """Rows under `data`; the vendor gives no total."""
        answer = self.read_answer(reply.body)
        if answer.success is False or answer.error:
            raise BadAnswer("the answer has another form", "it has a list 'data', and says that it is an error")
        return Page(answer.data, self.read_key)

    def probe(self, desk: Desk) -> Generator[Ticket, Reply, list[Any]]:
        """The newest day of each campaign."""
        things: list[Any] = []
        refused: list[Refused] = []
        window = plan.Window(instants.floor(self.until - timedelta(days=1), self.tick), self.until)
        for campaign in dict.fromkeys(self.config["voice_campaign_ids"]):
            span = CampaignRows(window, (), "created_date", campaign)
            try:
                reply = yield self.queue(desk, span, 0, self.page_size)
            except Refused as exc:  # this campaign's: the others are tried all the same
                refused.append(exc)
                continue
            things.append(replace(span, rows=(reply.parsed or EMPTY).rows))
        if refused:
            others = f" (and {len(refused) - 1} more campaigns)" if refused[1:] else ""
            raise Refused(f"{refused[0].what}{others}", refused[0].why, refused[0].remedy, status=refused[0].status)
        return things

    # -- rows --------------------------------------------------------------------------------------

    def records(self, thing: Any) -> Iterator[tuple[dict[str, Any], datetime | None]]:
        """The rows, with their campaign; a request counts for the bookmark by the date it was asked for with."""
        only_open = thing.only_open
        if only_open:
            self._judge_states(thing)
        for record, instant in super().records(thing):
            if record.get("voice_campaign_id", "") is None:
                record["voice_campaign_id"] = thing.campaign
            yield record, None if only_open else instant

    def _judge_states(self, thing: CampaignRows) -> None:
        """Raise if a row is not open that was asked for as such; by the vendor's row, whatever of it is written."""
        for raw in thing.rows:
            try:
                state = self.read_state(raw).state
            except msgspec.MsgspecError:  # told when the row's turn comes
                continue
            if (state is None or isinstance(state, str)) and state not in OPEN_STATES:
                raise Unproven(
                    f"{self.name} of {thing.campaign}, still open, could not be read",
                    f"the vendor ignored the filter: it sent a request whose state is {shown(str(state))}",
                    self.tap.filter_hint,
                )


_DATE = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\Z",
    "format": "instant",
    "must": "YYYY-MM-DD HH:mm:ss, in UTC",
}
_TEXT, _INTEGER = {"type": "string", "must": "a text"}, {"type": "integer"}
# The page's own example writes the number as a text, as a number, and in a list.
_NUMBER = {"type": ["string", "integer", "array"], "items": {"type": ["string", "integer"]}, "must": "a number"}
_SPAN, _ORDER = {"enum": ["gte", "lte"]}, {"enum": ["eq", "gt", "gte", "lt", "lte", "ne"]}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


_FILTERS: dict[str, Any] = {
    **{key: {"operator": _SPAN, "value": _DATE} for key in ("created_date", "closed_date", "process_not_before")},
    "state": {"value": _list({"enum": ["OPEN", "PROCESSING", "CLOSED"]})},
    "application_state": {"value": _list({"enum": ["NEW", "RECALL", "RETRY", "CLOSED"]})},
    "contact_number": {"value": _NUMBER},
    "dialing_method": {"value": _TEXT},
    **{key: {"value": _list(_INTEGER)} for key in ("tenant_user_id", "assigned_tenant_user_id")},
    "close_reason": {"value": _list(_TEXT)},
    "custom_fields": {"key": {"type": "string", "minLength": 1, "must": "a field's name"}, "value": _TEXT},
    **{key: {"operator": _ORDER, "value": _INTEGER} for key in ("priority", "consultant_try", "contact_try")},
}
"""Properties that the vendor filters by, with the operators and values that each takes."""


class TapConpeek(VendorTap):
    """Singer tap for Conpeek: the requests of voice campaigns, with their state, tries and outcome."""

    name, vendor = "tap-conpeek", "conpeek"
    common = common(lookback="P1D", window="P30D", page_size=1000, most=10_000)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text("Address of the tenant's API, such as https://api-example.cloud.conpeek.com.", format="url"),
        "api_key": token("API key, sent as it is in the header `Authorization`."),
        "voice_campaign_ids": array(
            "The campaigns to read; the vendor has no list of them.",
            minItems=1,
            must="a list of at least one campaign id, none of them blank",
        ),
        "exclude": array(
            "Parts of a request not to be sent; their columns leave the schema too.",
            {"type": "string", "enum": ["history", "call_history", "dialogs"]},
        ),
        "filter": objects(
            "The vendor's filter objects, added to the tap's own: property, value, where documented operator or key.",
            "property",
            _FILTERS,
            required=("value",),
            must="a list of filter objects, each with property and value",
        ),
        "skip_missing_campaigns": switch(
            "Go on with a warning when a campaign is not there any more, instead of failing."
        ),
    }
    required = ("api_url", "api_key", "voice_campaign_ids")
    stream_types = (VoiceCampaignRequests,)
    hints = {  # noqa: RUF012 - same
        HTTPStatus.UNAUTHORIZED: "Check api_key",
        HTTPStatus.FORBIDDEN: "Check api_key and what it is allowed to do",
        HTTPStatus.NOT_FOUND: "Check voice_campaign_ids and api_url; for a campaign that was deleted set "
        "skip_missing_campaigns",
        HTTPStatus.BAD_REQUEST: "Check filter",
    }
    sign = header("Authorization", "api_key", Content_Type="application/json")


def _date(instant: datetime) -> str:
    """The form of the vendor's filter, in UTC."""
    return instant.strftime("%Y-%m-%d %H:%M:%S")

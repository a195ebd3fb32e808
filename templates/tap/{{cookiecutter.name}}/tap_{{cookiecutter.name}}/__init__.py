"""tap-{{ cookiecutter.name }}: the calls of {{ cookiecutter.title }}.

Rests on the vendor's page about its list of calls (https://docs.{{ cookiecutter.name }}.example).
"""

from __future__ import annotations

from trunkline import instants
from trunkline.facts import Limit, NumberedPages, PagedStream, VendorTap, bearer, common, text, token


class Calls(PagedStream):
    """The calls, page by page; the vendor filters on their start."""

    name, path = "calls", "/v1/calls"
    primary_keys, replication_key = ("id",), "started_at"
    beginning = instants.EPOCH
    paging = NumberedPages(since="from", until="to", rows="calls", total="total")


class Tap{{ cookiecutter.class }}(VendorTap):
    """Singer tap for {{ cookiecutter.title }}: the calls, inbound and outbound."""

    name, vendor = "tap-{{ cookiecutter.name }}", "{{ cookiecutter.name }}"
{%- if cookiecutter.package == "yes" %}
    package_name = "tap-{{ cookiecutter.name }}"
{%- endif %}
    common = common(lookback="P1D", window="P30D", page_size=100, max_page_size=100)
    settings = {  # noqa: RUF012 - a fact, never changed
        "api_url": text(
            "Address of the API.", format="url", default="https://api.{{ cookiecutter.name }}.example"
        ),
        "api_token": token("API token, sent as a bearer token."),
    }
    required = ("api_token",)
    limit = Limit(60, 60.0)
    stream_types = (Calls,)
    hints = {401: "Check api_token", 403: "Check what the token is allowed to read"}  # noqa: RUF012 - same
    sign = bearer("api_token")

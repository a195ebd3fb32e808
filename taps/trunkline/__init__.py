"""The engine that the vendors' taps share: plan, fetch, prove, shape, write, bookmark.

A vendor is not a step of it but a table of facts that the steps read. See `trunkline.doors.tap.VendorTap` and
`trunkline.facts.windowed.WindowedStream` for what such a table holds, and any `tap_<vendor>.py` for an example.
"""

from __future__ import annotations

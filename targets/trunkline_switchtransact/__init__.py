"""`target-switchtransact`: a Singer target for SwitchTransact's two write calls that never writes a record twice.

| module | its one reason to change |
|---|---|
| `target` | settings and command line |
| `loader` | Singer messages, which STATE goes out, what a run reports |
| `orders` | which record is sent when: order per contact, limits, what is noted around a request |
| `sender` | one record's requests: what a response means, what is tried again, what is in doubt |
| `client` | signing, the vendor's refusals, sending once |
| `ledger` | the SQLite file that remembers what was written |
| `calls` | the vendor's two calls: fields, forms, and what makes a record one of them |
| `errors` | what can go wrong beside what the taps know |
"""

from __future__ import annotations

from trunkline_switchtransact.target import TargetSwitchTransact

__all__ = ["TargetSwitchTransact"]

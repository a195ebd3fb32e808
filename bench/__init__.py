"""The benchmark: our taps beside a plain SDK tap, dlt, the Airbyte CDK and the limit, on the same sandbox server.

python -m bench                 # everything, about an hour on two quiet cores; writes docs/performance.md
python -m bench --quick         # small and short: does it all still run?
python -m bench --only details-100ms-8 --repeats 9
"""

from __future__ import annotations

"""The contract suite: the guarantees, tested on one vendor; for vendors of this distribution and of others.

    from trunkline_contract.suite import Contract

    class TestContract(Contract):
        vendor = "acme"

pytest finds the rest by itself: the vendor's tap under the entry point group `trunkline.vendors`, its part of the
sandbox under `trunkline.sandbox`, and this package's plugin under `pytest11`. What a vendor's test must add, a row in
the vendor's own form, stands in `trunkline_contract.suite.Contract`.

`trunkline_contract.runs` runs a tap once in this process and needs no pytest; `trunkline_contract.schema_file` checks
a schema file; `trunkline_contract.warehouse` lists what a warehouse must hold of Trunkline's own vendors.
"""

from __future__ import annotations

"""The code that the targets share: a reader of Singer messages, and a loader that writes to any store.

| module | its one reason to change |
|---|---|
| `messages` | where lines come from, what a Singer message is, the one line of a STATE |
| `loader` | when a batch is written, which STATE goes out |
| `records` | how a record is checked and staged fast |
| `values` | what a single value may be |
| `columns` | kinds, types and names of columns |
| `store` | what a store offers to the loader |
| `target` | settings, command line and the SDK's seams |
| `paths` | what a setting that names a file may hold |
| `errors` | what can go wrong |

`target-switchtransact` uses `messages`, `paths` and `errors`: it writes records one by one, and to a vendor.
"""

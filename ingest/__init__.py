"""From an object in the raw bucket to one work message per drive revision, with nothing lost and nothing doubled.

`register` is the use case and knows only the ports of `ports`; `handler` is its Lambda entry, `event_source_mapping` the
local stand-in for the mapping that feeds the Lambda; `ledger` keeps the state, `lease` and `queues` are the work queue.
"""

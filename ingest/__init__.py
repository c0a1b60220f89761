"""From an object in the raw bucket to one work message per drive revision; nothing is lost and nothing processed twice.

`register`, `sweep` and `review` are the use cases and know only the ports of `ports`; `handler` is the Lambda entry,
`event_source_mapping` feeds it where no Lambda runs. `ledger` keeps the state, `queues` and `lease` are the work queue.
"""

"""The explicit three-way split of rows: passed, failed, unknown.

`rows WHERE p` and `rows WHERE NOT p` both lose a row whose `p` is NULL. Here such a row is quarantined, and the sum is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from quality.catalogue import rule
from quality.errors import SplitError

FAILED_RULES = "failed_rules"
UNKNOWN_RULES = "unknown_rules"
_CODES = pa.list_(pa.field("element", pa.string(), nullable=False))


@dataclass(frozen=True, slots=True)
class Split:
    """Two halves of one table, in its order.

    `passed`: every rule is true. `quarantined`: at least one is false or unknown; the columns `failed_rules` and
    `unknown_rules` (sorted codes) say which. Neither half holds the rules' own columns.
    """

    passed: pa.Table
    quarantined: pa.Table


def split(rows: pa.Table, codes: Sequence[str]) -> Split:
    """Split `rows` by the boolean columns named after `codes`: true passed, false failed, null unknown.

    Raises:
        UnknownRuleError: A code is not in the catalogue.
        SplitError: No code, a code twice, a code without a boolean column, or the halves do not add up.
    """
    _check(rows, codes)
    ordered = sorted(codes)
    passes = [pc.fill_null(rows[code], False) for code in ordered]
    passed_mask = passes[0]
    for mask in passes[1:]:
        passed_mask = pc.and_(passed_mask, mask)
    payload = rows.drop_columns(ordered)
    passed = payload.filter(passed_mask)
    quarantined = payload.filter(pc.invert(passed_mask))
    verdicts = rows.select(ordered).filter(pc.invert(passed_mask)).to_pylist()
    failed = [[code for code in ordered if row[code] is False] for row in verdicts]
    unknown = [[code for code in ordered if row[code] is None] for row in verdicts]
    if passed.num_rows + quarantined.num_rows != rows.num_rows:
        raise SplitError(f"{rows.num_rows} rows in, {passed.num_rows} passed + {quarantined.num_rows} quarantined out")
    for name, codes_of_rows in ((FAILED_RULES, failed), (UNKNOWN_RULES, unknown)):
        quarantined = quarantined.append_column(pa.field(name, _CODES, nullable=False), pa.array(codes_of_rows, _CODES))
    return Split(passed, quarantined)


def _check(rows: pa.Table, codes: Sequence[str]) -> None:
    if not codes:
        raise SplitError("no rule to split by: every row would pass unchecked")
    if len(set(codes)) < len(codes):
        raise SplitError(f"a rule is named twice in {', '.join(codes)}")
    taken = [name for name in (FAILED_RULES, UNKNOWN_RULES) if name in rows.column_names]
    if taken:
        raise SplitError(f"the rows already have the columns {', '.join(taken)}")
    for code in codes:
        rule(code)
        if rows.column_names.count(code) != 1:
            raise SplitError(f"{rows.column_names.count(code)} columns are named {code}; a rule needs one boolean column")
        if rows.schema.field(code).type != pa.bool_():
            raise SplitError(f"column {code} is {rows.schema.field(code).type}, not bool")

"""`gold diff`: which scenes differ between two versions, and why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.options import EndpointOption, HomeOption, JsonOption, examples
from ops import DEFAULT_HOME, deployment

if TYPE_CHECKING:
    from lake.versions.diff import DriveDiff

DIFFERENT = 3  # 1 is an error, 2 is wrong usage
VersionArgument = Annotated[
    str, typer.Argument(metavar="VERSION", help="Tag, snapshot id of a publication, VEHICLE/DRIVE@GENERATION, or `main`.")
]


def register(app: typer.Typer) -> None:
    """Add the command to `scenelake gold`."""
    app.command("diff", epilog=examples("gold diff release-6 release-7", "gold diff run-12 main --scenes --json"))(diff)


def diff(
    first: VersionArgument,
    second: VersionArgument,
    scenes: Annotated[bool, typer.Option("--scenes", help="Name every scene that differs, not only their numbers.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help=f"End with {DIFFERENT} if the content differs, or may.")] = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions scene by scene, by the digests of their content.

    Scenes are added, removed or changed, each with its cause: another version of an object, other code, other rules, a reviewer's
    override. *Layout only* is the same content in other files. *Unknown* has no digest: it was written before there were any.
    Only drives that differ are read, and none of their payload.
    """
    from lake.versions.diff import diff as differences
    from lake.versions.moments import load_together, resolve

    tables = load_together(deployment.enter(endpoint, home).catalog())
    versions = resolve(tables, first), resolve(tables, second)
    printed = _Printer(first, second, scenes=scenes, as_json=as_json)
    with console.progress() as bars:
        for one in differences(tables, *versions, progress=bars):
            printed.add(one)
    printed.finish()
    if exit_code and printed.differs:
        raise typer.Exit(DIFFERENT)


class _Printer:
    def __init__(self, first: str, second: str, *, scenes: bool, as_json: bool) -> None:
        self._first, self._second, self._scenes, self._as_json = first, second, scenes, as_json
        self._rows: list[tuple[str, ...]] = []
        self._drives: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter()
        self.differs = False

    def add(self, one: DriveDiff) -> None:
        """Keep what is to be said of a drive: a line, and its scenes only where they are asked for."""
        self.differs |= one.differs
        self._counts.update({str(change): count for change, count in one.counts.items()})
        drive = f"{one.vehicle_id}/{one.drive_id}"
        causes = {str(cause): count for cause, count in one.causes.items()}
        if self._as_json:
            self._drives.append(
                {
                    "drive": drive,
                    "before": _publication(one.before),
                    "after": _publication(one.after),
                    "counts": {str(change): count for change, count in one.counts.items()},
                    "causes": causes,
                    **({"scenes": one.scenes} if self._scenes else {}),
                }
            )
            return
        counts = tuple(str(one.counts.get(change, 0) or "") for change in _changes())
        said = ", ".join(f"{cause} {count}" for cause, count in causes.items()) or ("publication only" if not one.counts else "")
        self._rows.append((drive, *counts, said))
        if self._scenes:
            self._rows += [(f"  {s.scene_id}", str(s.change), *[""] * 4, ", ".join(map(str, s.causes))) for s in one.scenes]

    def finish(self) -> None:
        """Print it."""
        counts = {str(change): self._counts.get(str(change), 0) for change in _changes()}
        if self._as_json:
            console.print_json(
                {
                    "first": self._first,
                    "second": self._second,
                    "differs": self.differs,
                    "counts": counts,
                    "drives": self._drives,
                }
            )
            return
        columns = ("drive", *map(str, _changes()), "causes")
        console.out().print(console.table(None, columns, self._rows, [str(change) for change in _changes()]))
        said = ", ".join(f"{count} {change}" for change, count in counts.items() if count)
        console.say(f"{self._first} and {self._second}: {said or 'the same scenes in the same files'}")


def _changes() -> tuple[Any, ...]:
    from lake.versions.diff import Change

    return tuple(Change)


def _publication(row: Any) -> dict[str, Any] | None:
    if row is None:
        return None
    return {name: getattr(row, name) for name in ("revision", "generation", "code_version", "config_hash", "scenes")}

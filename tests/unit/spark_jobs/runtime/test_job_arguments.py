"""The command line of the jobs, and how a job process ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyspark.errors import PythonException

from lake.errors import AbsentError
from lake.landing import DriveId
from lineage.errors import CodeVersionError
from scenes.errors import IncompleteError, WorkAreaError
from sensors.errors import RigError
from spark_jobs.runtime.arguments import parse
from spark_jobs.runtime.entry import run_job

GOOD = {
    "--vehicle": "car-1",
    "--drive": "d-1",
    "--revision": "0a" * 32,
    "--generation": "3",
    "--work": "s3://lake/work/car-1/d-1/x/1/",
}


def argv(**changed: str | None) -> list[str]:
    values: dict[str, str | None] = {**GOOD, **{f"--{name}": value for name, value in changed.items()}}
    return [word for name, value in values.items() if value is not None for word in (name, value)]


def test_arguments_are_read_as_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = parse(argv(result=str(tmp_path / "r.json")), "inspect", "")
    assert (found.drive, found.revision, found.generation) == (DriveId("car-1", "d-1"), "0a" * 32, 3)
    assert (found.work.bucket, found.work.key) == ("lake", "work/car-1/d-1/x/1")
    found.report({"b": 1, "a": [2]})
    assert (tmp_path / "r.json").read_text() == '{"a": [2], "b": 1}'
    assert capsys.readouterr().out == '{"a": [2], "b": 1}\n', "the job's log ends with what it found"


def test_without_a_file_the_result_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    parse(argv(), "inspect", "").report({"verdict": "build"})
    assert json.loads(capsys.readouterr().out) == {"verdict": "build"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"vehicle": None}, "--vehicle"),
        ({"vehicle": "../car"}, "vehicle id '../car'"),
        ({"drive": "D"}, "drive id 'D'"),
        ({"revision": "0A" * 32}, "64 lower-case hex digits"),
        ({"revision": "../../secret"}, "64 lower-case hex digits"),
        ({"generation": "0"}, "generation 0"),
        ({"generation": "x"}, "--generation"),
        ({"work": "/tmp/work"}, "is not s3://BUCKET/KEY"),
        ({"work": "s3://lake/"}, "is not s3://BUCKET/KEY"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(
    changed: dict[str, str | None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(argv(**changed), "publish", "")
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert "usage: python -m spark_jobs.publish" in told


@pytest.mark.parametrize(
    "error",
    [
        WorkAreaError("index.arrow is not there"),
        IncompleteError("planned 3 scenes"),
        AbsentError("no such\n  version"),
        RigError("sensor named twice"),
        CodeVersionError("no commit"),
    ],
)
def test_a_known_error_is_one_line_and_status_1(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: Sequence[str]) -> int:
        raise error

    assert run_job(main, []) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"error: {' '.join(str(error).split())}\n"


def test_a_defect_keeps_its_traceback() -> None:
    def main(_: Sequence[str]) -> int:
        raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError, match="ours"):
        run_job(main, [])


def worker_error(raised: str) -> PythonException:
    text = f"An exception was thrown from the Python worker:\nTraceback (most recent call last):\n  File 'x.py'\n{raised}"
    return PythonException(message=text)


def test_a_known_error_of_a_spark_worker_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    cause = "lake.errors.AbsentError: no such version\n\nDuring handling of the above exception, another occurred:\n\n"

    def main(_: Sequence[str]) -> int:
        raise worker_error(cause + "lake.errors.LakeError: cannot read s3://b/k:\n  reset")

    assert run_job(main, []) == 1
    assert capsys.readouterr().err == "error: cannot read s3://b/k: reset\n"


def test_a_defect_in_a_spark_worker_keeps_its_traceback() -> None:
    def main(_: Sequence[str]) -> int:
        raise worker_error("KeyError: 'lake.errors.LakeError: x'")

    with pytest.raises(PythonException, match="KeyError"):
        run_job(main, [])


def test_a_job_that_ends_well_ends_with_its_status() -> None:
    assert run_job(lambda words: len(words), ["a", "b"]) == 2


@pytest.mark.parametrize("job", ["inspect", "build_scenes", "audit", "publish"])
def test_every_job_ends_that_way(job: str) -> None:
    source = (Path(__file__).parents[4] / "spark_jobs" / f"{job}.py").read_text()
    assert source.endswith('if __name__ == "__main__":\n    sys.exit(run_job(main, sys.argv[1:]))\n')

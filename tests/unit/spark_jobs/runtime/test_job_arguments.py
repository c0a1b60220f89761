"""The command line of the jobs, and how a job process ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.errors import PythonException

from lake.errors import AbsentError
from lake.landing import DriveId
from lineage.errors import CodeVersionError
from scenes.errors import DocumentError, IncompleteError, WorkAreaError, WorkerError
from sensors.errors import RigError, ScenelakeError
from spark_jobs.runtime.arguments import parse
from spark_jobs.runtime.entry import exit_status
from spark_jobs.runtime.results import BuildResult
from spark_jobs.runtime.spark import known_worker_errors

GOOD = {
    "--vehicle": "car-1",
    "--drive": "d-1",
    "--revision": "0a" * 32,
    "--generation": "3",
    "--work": "s3://lake/work/car-1/d-1/x/1/",
}


RESULT = BuildResult(windows=1, gold=2, quarantined=3, bytes=4)


def argv(**changed: str | None) -> list[str]:
    values: dict[str, str | None] = {**GOOD, **{f"--{name}": value for name, value in changed.items()}}
    return [word for name, value in values.items() if value is not None for word in (name, value)]


def test_arguments_are_read_as_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = parse(argv(result=str(tmp_path / "r.json")), "inspect", "")
    assert (found.drive, found.revision, found.generation) == (DriveId("car-1", "d-1"), "0a" * 32, 3)
    assert (found.work.bucket, found.work.key) == ("lake", "work/car-1/d-1/x/1")
    found.report(RESULT)
    assert (tmp_path / "r.json").read_text() == '{"bytes":4,"gold":2,"quarantined":3,"windows":1}'
    assert capsys.readouterr().out == '{"bytes":4,"gold":2,"quarantined":3,"windows":1}\n', (
        "the job's log ends with what it found"
    )


def test_without_a_file_the_result_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    parse(argv(), "build_scenes", "").report(RESULT)
    assert json.loads(capsys.readouterr().out) == {"windows": 1, "gold": 2, "quarantined": 3, "bytes": 4}


@pytest.mark.parametrize(
    ("changed", "message"),
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
    changed: dict[str, str | None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(argv(**changed), "publish", "")
    assert caught.value.code == 2
    written = capsys.readouterr().err
    assert message in written
    assert "usage: python -m spark_jobs.publish" in written


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
def test_a_known_error_is_one_line_and_status_1(error: ScenelakeError, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise error

    assert exit_status(work) == error.exit_code == 1
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == f"error: {' '.join(str(error).split())}\n"


def test_the_next_step_is_part_of_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise DocumentError("audit.json is damaged", hint="run it again")

    assert exit_status(work) == DocumentError.exit_code
    assert capsys.readouterr().err == "error: audit.json is damaged; run it again\n"


def test_a_defect_keeps_its_traceback() -> None:
    def work() -> None:
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError, match="a defect"):
        exit_status(work)


def worker_error(raised: str) -> PythonException:
    text = f"An exception was thrown from the Python worker:\nTraceback (most recent call last):\n  File 'x.py'\n{raised}"
    return PythonException(message=text)


def test_a_known_error_of_a_spark_worker_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    cause = "lake.errors.AbsentError: no such version\n\nDuring handling of the above exception, another occurred:\n\n"
    traceback = "Traceback (most recent call last):\n  File 'y.py'\n"

    def work() -> None:
        with known_worker_errors():
            raise worker_error(f"{cause}{traceback}lake.errors.LakeError: cannot read s3://b/k:\n  reset")

    assert exit_status(work) == 1
    assert capsys.readouterr().err == "error: cannot read s3://b/k: reset\n"


def test_a_defect_in_a_spark_worker_keeps_its_traceback() -> None:
    with pytest.raises(PythonException, match="KeyError"), known_worker_errors():
        raise worker_error("KeyError: 'lake.errors.LakeError: x'")


def test_a_known_error_that_a_defect_followed_in_a_worker_is_a_defect() -> None:
    cause = "lake.errors.AbsentError: no such version\n\nDuring handling of the above exception, another occurred:\n\n"
    with pytest.raises(PythonException, match="ZeroDivisionError"), known_worker_errors():
        raise worker_error(f"{cause}Traceback (most recent call last):\n  File 'y.py'\nZeroDivisionError: division by zero")


@pytest.mark.parametrize("name", ["lake.errors.NoSuchError", "os.PathLike", "builtins.ValueError"])
def test_only_errors_that_descend_from_the_root_are_known(name: str) -> None:
    with pytest.raises(PythonException), known_worker_errors():
        raise worker_error(f"{name}: x")


def test_an_error_of_a_worker_keeps_its_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AbsentError, "exit_code", 7)
    with pytest.raises(WorkerError, match="no such version") as caught, known_worker_errors():
        raise worker_error("lake.errors.AbsentError: no such version")
    assert caught.value.exit_code == 7


def test_a_job_that_ends_well_ends_with_0() -> None:
    assert exit_status(lambda: None) == 0


@pytest.mark.parametrize("job", ["inspect", "build_scenes", "audit", "publish"])
def test_every_job_ends_that_way(job: str) -> None:
    source = (Path(__file__).parents[4] / "spark_jobs" / f"{job}.py").read_text()
    assert source.endswith('if __name__ == "__main__":\n    sys.exit(main(sys.argv[1:]))\n')
    assert f'return run_job("{job}", ' in source

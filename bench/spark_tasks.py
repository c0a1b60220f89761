"""The cost of a job of empty tasks on Spark, and the savings of each departure from a plain PySpark job (ADR 0026).

    python -m bench.spark_tasks

Variants alternate in one JVM, each in Python workers of its own; only TCP needs another session.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql import SparkSession
from pyspark.sql.types import BinaryType, LongType, StructField, StructType
from rich.console import Console

from bench.alternate import alternate, ratio
from bench.build_scenes.contest import processor_time
from bench.figures import Measurement, Report, console_table
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings
from spark_jobs.runtime.tasks import pack, run_tasks

NAME = "spark_tasks"
TASKS = 2
JOBS = 4  # per round
ROUNDS = 7
WARM_UPS = 10  # rounds: the JVM compiles what was called often
ANSWERS = StructType([StructField("task", LongType()), StructField("answers", BinaryType())])
TCP = {"spark.python.unix.domain.socket.enabled": "false", "spark.python.daemon.module": "pyspark.daemon"}

RunTasks: TypeAlias = Callable[[SparkSession, Callable[[Sequence[int]], Sequence[int]], Sequence[int], Sequence[int]], list[int]]
Seconds: TypeAlias = tuple[float, float]
"""Wall time and processor time of a job."""


def plain_tasks(
    spark: SparkSession, work: Callable[[Sequence[int]], Sequence[int]], items: Sequence[int], costs: Sequence[int]
) -> list[int]:
    """`run_tasks` in workers whose modules are not exempt from garbage collection."""
    shares = pack(costs, TASKS)
    answers = spark.sparkContext.parallelize(shares, len(shares)).map(lambda share: work([items[at] for at in share])).collect()
    return [answer for share in answers for answer in share]


def map_in_arrow(
    spark: SparkSession, work: Callable[[Sequence[int]], Sequence[int]], items: Sequence[int], costs: Sequence[int]
) -> list[int]:
    """The same tasks as a DataFrame, as Spark Connect could run them; `range` gives each a partition without a shuffle."""
    shares = pack(costs, TASKS)

    def do(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            tasks = batch.column(0).to_pylist()
            answers = [cloudpickle.dumps(work([items[at] for at in shares[task]])) for task in tasks]  # type: ignore[no-untyped-call]
            yield pa.record_batch([pa.array(tasks, pa.int64()), pa.array(answers, pa.binary())], ANSWERS.names)

    rows = spark.range(0, len(shares), 1, len(shares)).mapInArrow(do, ANSWERS).toArrow()
    return [answer for body in rows["answers"].to_pylist() for answer in cloudpickle.loads(body)]


VARIANTS: Mapping[str, RunTasks] = {"run_tasks": run_tasks, "plain": plain_tasks, "map_in_arrow": map_in_arrow}


def measure(scratch: Path) -> Report:
    """Jobs of empty tasks, over Unix domain sockets and over TCP; `scratch` stays empty."""
    del scratch
    found = _session({}, list(VARIANTS)) | {"tcp": _session(TCP, ["run_tasks"])["run_tasks"]}
    wall, cpu = ({name: [job[kind] for job in jobs] for name, jobs in found.items()} for kind in (0, 1))
    ours = "run_tasks"
    figures = (
        Measurement(f"{NAME}.job_ms", median(wall[ours]) * 1e3, "ms", False),
        Measurement(f"{NAME}.job_cpu_ms", median(cpu[ours]) * 1e3, "ms", False),
        Measurement(f"{NAME}.collecting_modules_cpu", ratio(cpu["plain"], cpu[ours]), "x", True, 1.1),
        Measurement(f"{NAME}.tcp_wall", ratio(wall["tcp"], wall[ours]), "x", True, 1.1),
        Measurement(f"{NAME}.map_in_arrow_cpu", ratio(cpu["map_in_arrow"], cpu[ours]), "x", True, 1.3),
    )
    return Report(figures)


def _session(changed: Mapping[str, str], names: Sequence[str]) -> dict[str, list[Seconds]]:
    spark = start_spark(spark_properties("bench", SparkSettings(spark_master=f"local[{TASKS},3]")) | dict(changed))

    def job(name: str) -> Seconds:
        environment: dict[str, Any] = spark.sparkContext.environment
        environment["SCENELAKE_BENCH_VARIANT"] = name  # Spark reuses a worker for equal environments only
        began_s, began_cpu_s = time.perf_counter(), processor_time()
        for _ in range(JOBS):
            answers = VARIANTS[name](spark, lambda share: list(share), range(TASKS), [1] * TASKS)
            assert sorted(answers) == list(range(TASKS)), answers
        return (time.perf_counter() - began_s) / JOBS, (processor_time() - began_cpu_s) / JOBS

    try:
        alternate(names, WARM_UPS, job)
        return alternate(names, ROUNDS, job)
    finally:
        spark.stop()


def main() -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        Console().print(console_table(measure(Path(folder)).measurements))


if __name__ == "__main__":
    main()

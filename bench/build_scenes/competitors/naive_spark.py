"""The Spark job that a user writes first: frames as rows with their payload, matched by a join, written by `df.write`.

Tuned as such a user would when it is slow: Python exchanges Arrow batches, frames are cached because three queries read
them, the small side of the join is broadcast, few shuffle partitions, 8 GB for the JVM, no compression. The idea stays: the
payload is a column, and goes through the JVM, the window and two shuffles.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from mcap.reader import make_reader
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 - as Spark users know it

from bench.build_scenes.contest import Task, Work, run
from bench.build_scenes.raw import KEYFRAME_CELL_NS, payload_place, raw_objects

BATCH_BYTES = 32 * 1024 * 1024
FRAMES = "path string, sha256 string, sensor string, stamp_ns long, payload binary"
PROPERTIES = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "8g",
    "spark.sql.shuffle.partitions": "16",
    "spark.sql.parquet.compression.codec": "uncompressed",
}


@contextmanager
def naive_spark(task: Task) -> Iterator[Work]:
    """A session whose Python workers are up."""
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    builder = SparkSession.builder.master(f"local[{task.processes}]")
    for name, value in (PROPERTIES | {"spark.local.dir": str(task.out.parent / f"{task.out.name}-spark")}).items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    spark.range(100).mapInArrow(lambda batches: batches, "id long").count()
    yield lambda request: build(spark, request)
    spark.stop()


def build(spark: SparkSession, task: Task) -> Mapping[str, str]:
    """Read, match, write."""
    rig = task.rig
    paths = [(str(path),) for path in raw_objects(task.drive)]
    rows = spark.createDataFrame(paths, "path string").repartition(len(paths))
    frames = rows.mapInArrow(_read, FRAMES).cache()
    anchors = frames.where(F.col("sensor") == rig.reference).select(F.col("stamp_ns").alias("anchor_ns"))
    if task.mode == "keyframe":
        cell = F.floor(F.col("anchor_ns") / F.lit(KEYFRAME_CELL_NS))
        anchors = anchors.groupBy(cell).agg(F.min("anchor_ns").alias("anchor_ns")).select("anchor_ns")
    terms = [(rig.reference, 0, 0), *((sensor.name, sensor.delay_ns, sensor.tolerance_ns) for sensor in rig.others)]
    sensors = spark.createDataFrame(terms, "sensor string, delay_ns long, tolerance_ns long")
    targets = anchors.crossJoin(F.broadcast(sensors))
    match(frames, targets).write.parquet(str(task.out / "scenes"))
    hashes = {row["path"]: row["sha256"] for row in frames.select("path", "sha256").distinct().collect()}
    frames.unpersist()  # a script would end here; kept, the frames of the warm-up leave no heap to the work
    return hashes


def match(frames: DataFrame, targets: DataFrame) -> DataFrame:
    """A row for each anchor, with the nearest frame of each sensor."""
    residual = F.col("stamp_ns") - F.col("anchor_ns") - F.col("delay_ns")
    near = (
        frames.drop("path", "sha256")
        .join(F.broadcast(targets), "sensor")
        .withColumn("offset_ns", F.col("stamp_ns") - F.col("anchor_ns"))
        .withColumn("residual_ns", residual)
        .where(F.abs(residual) <= F.col("tolerance_ns"))
    )
    order = Window.partitionBy("anchor_ns", "sensor").orderBy(F.abs(F.col("residual_ns")), "stamp_ns")
    best = near.withColumn("rank", F.row_number().over(order)).where("rank = 1")
    columns = ("sensor", "stamp_ns", "offset_ns", "residual_ns", "payload")
    return best.groupBy("anchor_ns").agg(F.collect_list(F.struct(*columns)).alias("frames"))


def _read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for path in batch.column(0).to_pylist():
            content = Path(path).read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            rows: list[tuple[str, str, str, int, bytes]] = []
            held = 0
            for _, _, message in make_reader(io.BytesIO(content)).iter_messages(log_time_order=False):
                stamp_ns, at, length = payload_place(message.data, 0)
                rows.append((path, sha256, Path(path).parent.name, stamp_ns, message.data[at : at + length]))
                held += length
                if held > BATCH_BYTES:
                    yield _batch(rows)
                    rows, held = [], 0
            if rows:
                yield _batch(rows)


def _batch(rows: list[tuple[str, str, str, int, bytes]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(columns[at], pa.string()) for at in range(3)]
    arrays += [pa.array(columns[3], pa.int64()), pa.array(columns[4], pa.binary())]
    return pa.RecordBatch.from_arrays(arrays, ["path", "sha256", "sensor", "stamp_ns", "payload"])


if __name__ == "__main__":
    run(naive_spark)

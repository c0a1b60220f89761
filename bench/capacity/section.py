"""The capacity model as the section of docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.capacity.assumptions import Assumptions, Prices
from bench.capacity.model import DAY_S, SQS_BATCH, Day, Measured, Requests
from bench.capacity.upkeep import Upkeep, upkeep
from bench.figures import markdown_table
from scenes.plan.windows import WINDOW_BYTES

SERVICES = {
    "compute": "EC2, on demand",
    "always_on": "Airflow and PostgreSQL",
    "s3_requests": "S3 requests",
    "storage": "storage, steady state",
    "sqs": "SQS",
    "lambda": "Lambda",
    "dynamodb": "DynamoDB",
}


def section(results: Mapping[str, float], assumed: Assumptions | None = None) -> str:
    """The model as Markdown, for the marker `capacity`.

    Raises:
        FiguresError: A figure that it needs was not measured.
    """
    day = Day(assumed or Assumptions(), Measured.of(results))
    parts = [
        ("Measured", measured(day)),
        ("Assumed", assumptions(day.assumed)),
        ("Volumes and compute", compute(day)),
        ("S3 requests a day", requests(day)),
        ("Other services a day", services(day)),
        ("Storage", storage(day)),
        ("The lake's metadata", upkeep(day, Upkeep.of(results))),
        ("Dollars a day", dollars(day)),
        ("What changes it", sensitivity(day)),
    ]
    return "\n\n".join(f"### {title}\n\n{body}" for title, body in parts)


def measured(day: Day) -> str:
    """The figures that the model starts from."""
    found = day.measured
    rows = [
        ("inspect and build, one core", f"{found.build_mb_per_s_per_core:,.0f} MB/s", "`gold.build_mb_per_s_per_core`"),
        ("the same, payload untouched", f"{found.structure_mb_per_s_per_core:,.0f} MB/s", "`build_scenes.mb_per_s_per_core`"),
        ("match planning, one core", f"{found.match_frames_per_s_per_core:,.0f} frames/s", "`match.frames_per_s_per_core`"),
        ("S3 client without TLS, one core", f"{found.storage_mb_per_s_per_core:,.0f} MB/s", "`storage.read_mb_per_s_per_core`"),
        ("raw data of the vehicle", f"{found.raw_mb_per_s_of_drive:.1f} MB/s", "`gold.raw_mb_per_s_of_drive`"),
        ("gold over raw, every sweep", f"{found.gold_vs_raw[20.0]:.3f}", "`gold.bytes_vs_raw`"),
        ("gold over raw, 2 Hz keyframes", f"{found.gold_vs_raw[2.0]:.3f}", "`gold.bytes_vs_raw_keyframes`"),
    ]
    return markdown_table(("what", "value", "figure"), rows)


def assumptions(assumed: Assumptions) -> str:
    """The assumptions."""
    prices = assumed.prices
    sensors = ", ".join(f"{kind.count} {kind.modality} {kind.rate_hz:g} Hz" for kind in assumed.vehicle)
    rows = [
        ("raw data", f"{assumed.bytes_a_day / 1e12:g} TB a day"),
        ("vehicle", sensors),
        ("drive; object of one sensor", f"{assumed.drive_s / 60:g} min; {assumed.object_s:g} s"),
        ("busiest hour over the mean", f"{assumed.peak_factor:g}"),
        ("time of cores and links that is work", f"{assumed.busy:.0%}"),
        ("node c6i.4xlarge", f"{assumed.node_cores} vCPU, {assumed.node_bytes_per_s * 8 / 1e9:g} Gbit/s sustained"),
        ("work of a vCPU over a measured core", f"{assumed.vcpu_per_core:g}"),
        ("TLS, one core", f"{assumed.tls_mb_per_s_per_core:,.0f} MB/s"),
        ("start of a job's Spark", f"{assumed.job_start_s:g} s of a node, {assumed.jobs_a_drive} jobs a drive"),
        ("kept", f"raw {assumed.raw_standard_days} d + {assumed.raw_archive_days} d archive, gold {assumed.gold_days} d"),
        ("node", f"${prices.node_hour:g}/h on demand, spot {prices.spot_factor:.0%} of it"),
        ("Airflow and PostgreSQL, always on", f"${prices.always_on_hour:g}/h"),
        ("S3 PUT, LIST; GET, HEAD", f"${prices.put * 1e3:g}; ${prices.get * 1e3:g} a thousand"),
        ("S3 Standard; Deep Archive", f"${prices.standard_gb_month:g}; ${prices.archive_gb_month:g} a GB and month"),
        ("move to the archive", f"${prices.to_archive * 1e3:g} a thousand objects"),
        (
            "SQS; Lambda",
            f"${prices.sqs_request * 1e6:g}; ${prices.lambda_request * 1e6:g} a million, ${prices.lambda_gb_s:g} a GB-s",
        ),
        ("DynamoDB write; read unit", f"${prices.write_unit * 1e6:g}; ${prices.read_unit * 1e6:g} a million"),
    ]
    return f"{_sentence(Prices.__doc__)}\n\n{markdown_table(('assumption', 'value'), rows)}"


def compute(day: Day) -> str:
    """From bytes to nodes, step by step."""
    assumed = day.assumed
    peak = assumed.peak_factor
    sensors = sum(kind.count for kind in assumed.vehicle)
    frames = sum(kind.count * kind.rate_hz for kind in assumed.vehicle)
    rows = [
        ("mean rate", f"{day.bytes_per_s / 1e6:,.0f} MB/s", "bytes a day / 86,400 s"),
        ("recorded", f"{day.recorded_s / 3600:,.0f} h", "bytes a day / raw rate of the vehicle"),
        ("drives; raw objects", f"{day.drives:,.0f}; {day.objects:,.0f}", f"recorded / length, × {sensors} sensors"),
        ("frame records", f"{day.frames / 1e6:,.0f} M", f"recorded × {frames:g} frames/s"),
        (
            "scenes; windows",
            f"{day.scenes / 1e6:,.1f} M; {day.windows:,.0f}",
            f"recorded × {assumed.scene_hz:g} Hz; payload / {WINDOW_BYTES >> 20} MiB",
        ),
        ("match planning", f"{day.plan_s / 60:,.1f} min of a core", "frame records / planning rate"),
        ("cores, work", f"{day.work_cores:.2f}", "mean rate / inspect and build"),
        ("cores, HTTP and TLS", f"{day.storage_cores:.2f}", "network rate × (1 / client + 1 / TLS)"),
        ("vCPU, start of jobs", f"{day.start_core_s / DAY_S:.2f}", "drives × jobs × start × vCPU of a node"),
        ("vCPU", f"{day.vcpus:.1f}", "(cores / vCPU work + starts) / busy"),
        ("network", f"{day.network_bytes_per_s / 1e6:,.0f} MB/s", "raw read twice + gold written"),
        ("nodes, mean", f"{day.nodes()}", "the larger of vCPU and network need, rounded up"),
        (f"nodes, busiest hour (× {peak:g})", f"{day.nodes(peak)}", "the same, × peak"),
    ]
    return markdown_table(("figure", "value", "from"), rows)


def requests(day: Day) -> str:
    """S3 requests by stage."""
    prices = day.assumed.prices
    stages = day.requests()
    total = Requests(*(sum(getattr(entry, name) for entry in stages.values()) for name in ("puts", "gets", "lists")))
    rows = [
        (name, f"{entry.puts:,.0f}", f"{entry.gets:,.0f}", f"{entry.lists:,.0f}", f"{entry.dollars(prices):.2f}")
        for name, entry in [*stages.items(), ("**pipeline**", total), ("one training epoch", day.epoch)]
    ]
    rate = day.assumed.peak_factor * (total.puts + total.gets + total.lists) / DAY_S
    table = markdown_table(("stage", "PUT", "GET, HEAD", "LIST", "$"), rows)
    limits = "S3 takes 3,500 PUT and 5,500 GET a second of each prefix (Amazon S3 User Guide, performance guidelines)"
    return f"{table}\n\nIn the busiest hour that is {rate:,.0f} requests a second; {limits}."


def services(day: Day) -> str:
    """Requests and units beside S3."""
    volume, assumed = day.volumes(), day.assumed
    rows = [
        ("SQS requests", f"{volume['sqs']:,.0f}", "an event an object, received and deleted by ten; leases; idle polls"),
        ("Lambda invocations", f"{volume['lambda']:,.0f}", f"objects / {SQS_BATCH}"),
        (
            "Lambda GB-seconds",
            f"{volume['lambda_gb_s']:,.0f}",
            f"invocations × {assumed.function_s:g} s × {assumed.function_gb:g} GB",
        ),
        (
            "DynamoDB write units",
            f"{volume['writes']:,.0f}",
            f"{assumed.object_write_units:g} an object: item and counter, with their index entries",
        ),
        (
            "DynamoDB read units",
            f"{volume['reads']:,.0f}",
            f"{assumed.object_read_units:g} an object, and the drive's objects once when it is complete",
        ),
    ]
    return markdown_table(("what", "a day", "from"), rows)


def storage(day: Day) -> str:
    """How the lake grows."""
    assumed, gold_tb, raw_tb = day.assumed, day.gold_bytes / 1e12, day.assumed.bytes_a_day / 1e12
    rows = [
        (
            "raw",
            f"{raw_tb:.1f} TB",
            f"{raw_tb * assumed.raw_standard_days:,.0f} TB + {raw_tb * assumed.raw_archive_days:,.0f} TB archive",
        ),
        ("gold", f"{gold_tb:.1f} TB", f"{gold_tb * assumed.gold_days:,.0f} TB"),
    ]
    return markdown_table(("what", "growth a day", "held in the steady state"), rows)


def dollars(day: Day) -> str:
    """The cost by service."""
    cost = day.dollars()
    rows = [(name, f"{cost[key]:,.2f}") for key, name in SERVICES.items()]
    total, a_tb = sum(cost.values()), sum(cost.values()) / (day.assumed.bytes_a_day / 1e12)
    without = total - cost["storage"]
    rows += [("**all**", f"**{total:,.2f}**"), ("a TB of raw data", f"{a_tb:,.2f}"), ("all but storage", f"{without:,.2f}")]
    return markdown_table(("part", "$ a day"), rows)


def sensitivity(day: Day) -> str:
    """The same day with one assumption changed."""
    base = day.assumed
    spot = replace(base.prices, node_hour=base.prices.node_hour * base.prices.spot_factor)
    cases = {
        "as above: every sweep, points compressed": base,
        "2 Hz keyframes": replace(base, scene_hz=2.0),
        "points not compressed": replace(base, compress=False),
        "2 Hz keyframes, points not compressed": replace(base, scene_hz=2.0, compress=False),
        "spot nodes": replace(base, prices=spot),
        "objects of 60 s": replace(base, object_s=60.0),
        "a vCPU does half of that work": replace(base, vcpu_per_core=base.vcpu_per_core / 2),
        "ten times the data": replace(base, bytes_a_day=10 * base.bytes_a_day),
    }
    days = {name: Day(assumed, day.measured) for name, assumed in cases.items()}
    untouched = replace(day.measured, build_mb_per_s_per_core=day.measured.structure_mb_per_s_per_core)
    days["payload not looked into (structure checks)"] = Day(base, untouched)
    rows = []
    for name, other in days.items():
        cost = other.dollars()
        moving = sum(cost.values()) - cost["storage"]
        nodes = f"{other.nodes()} / {other.nodes(base.peak_factor)}"
        rows.append((name, nodes, f"{other.gold_bytes / 1e12:,.1f}", f"{moving:,.2f}", f"{cost['storage']:,.0f}"))
    return markdown_table(("case", "nodes mean / peak", "gold TB a day", "$ without storage", "$ storage"), rows)


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())


def read_results(path: Path) -> dict[str, float]:
    """Figures by name."""
    return {entry["name"]: entry["value"] for entry in json.loads(path.read_text())}

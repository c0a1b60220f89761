"""The uploader against a real S3 endpoint (moto in a thread, on loopback)."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from emulator import Emulator

from fleet import uploader
from fleet.drive_folder import DriveFolder
from fleet.errors import UploadError
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions
from fleet.uploader import CLIENT_CONFIG, upload

RIG = RigOptions(cameras=("camera_front",), width_px=64, height_px=48, lidar_rings=8, lidar_columns=90)
SPEC = DriveSpec("car-9", "upload-1", seed=4, duration_s=0.6, segment_s=0.3, rig=RIG)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> DriveFolder:
    return generate(SPEC, tmp_path_factory.mktemp("uploader") / "drive")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with Emulator() as emulator:
        yield emulator.url


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    return client(server, monkeypatch, CLIENT_CONFIG)


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    """A fresh versioned bucket."""
    name = "raw-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def client(endpoint: str, monkeypatch: pytest.MonkeyPatch, config: Config) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config)


def listed(s3: Any, bucket: str) -> dict[str, int]:
    return {entry["Key"]: entry["Size"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def versions(s3: Any, bucket: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in s3.list_object_versions(Bucket=bucket).get("Versions", []):
        counts[entry["Key"]] = counts.get(entry["Key"], 0) + 1
    return counts


def put_order(s3: Any) -> list[str]:
    """Keys in the order in which their upload began."""
    order: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        order.append(params["Key"])

    for operation in ("PutObject", "CreateMultipartUpload"):
        s3.meta.events.register(f"before-parameter-build.s3.{operation}", note)
    return order


def test_every_file_arrives_as_it_is_with_its_checksum(drive: DriveFolder, s3: Any, bucket: str) -> None:
    report = upload(drive, s3, bucket)
    files = drive.files()
    assert listed(s3, bucket) == {file.key: file.size_bytes for file in files}
    assert set(report.sent) == {file.key for file in files} and report.skipped == ()
    assert report.bytes_sent == sum(file.size_bytes for file in files)
    for file in files:
        stored = s3.get_object(Bucket=bucket, Key=file.key)
        body = stored["Body"].read()
        assert body == file.path.read_bytes()
        assert stored["Metadata"] == {"sha256": hashlib.sha256(body).hexdigest()}


def test_the_manifest_is_begun_when_all_else_is_there(drive: DriveFolder, s3: Any, bucket: str) -> None:
    order = put_order(s3)
    there_at_manifest: list[str] = []

    def look(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == drive.drive.manifest_key:
            there_at_manifest.extend(listed(s3, bucket))

    s3.meta.events.register("before-parameter-build.s3.PutObject", look)
    upload(drive, s3, bucket)
    assert order[-2:] == [drive.drive.calibration_key, drive.drive.manifest_key]
    assert sorted(there_at_manifest) == sorted(file.key for file in drive.files()[:-1])


def test_s3_is_given_the_sha256_to_verify(drive: DriveFolder, s3: Any, bucket: str) -> None:
    sent: dict[str, str] = {}
    s3.meta.events.register(
        "before-parameter-build.s3.PutObject", lambda params, **_: sent.update({params["Key"]: params.get("ChecksumSHA256")})
    )
    upload(drive, s3, bucket)
    assert sent.keys() == {file.key for file in drive.files()}
    for file in drive.files():
        assert base64.b64decode(sent[file.key]) == hashlib.sha256(file.path.read_bytes()).digest()


def test_ground_truth_stays_at_home(drive: DriveFolder, s3: Any, bucket: str) -> None:
    upload(drive, s3, bucket)
    assert (drive.path / "ground_truth").is_dir()
    assert not [key for key in listed(s3, bucket) if "ground_truth" in key]


def test_a_second_upload_sends_nothing(drive: DriveFolder, s3: Any, bucket: str) -> None:
    upload(drive, s3, bucket)
    report = upload(drive, s3, bucket)
    assert report.sent == () and report.bytes_sent == 0
    assert set(report.skipped) == {file.key for file in drive.files()}
    assert set(versions(s3, bucket).values()) == {1}


class Unplugged(Exception):
    """The connection is gone."""


def test_an_interrupted_upload_leaves_no_manifest_and_is_resumed(drive: DriveFolder, s3: Any, bucket: str) -> None:
    finished: list[str] = []

    def unplug(key: str, done: int, total: int) -> None:
        if done == total:
            finished.append(key)
        if len(finished) > 3:
            raise Unplugged

    with pytest.raises(Unplugged):
        upload(drive, s3, bucket, threads=1, progress=unplug)
    landed = listed(s3, bucket)
    assert 3 <= len(landed) < len(drive.files()) - 2
    assert drive.drive.manifest_key not in landed

    report = upload(drive, s3, bucket)
    assert set(report.skipped) == set(landed)
    assert set(report.sent) == {file.key for file in drive.files()} - set(landed)
    assert report.sent[-1] == drive.drive.manifest_key
    assert set(versions(s3, bucket).values()) == {1}


def test_what_was_changed_in_the_bucket_is_sent_again_and_the_manifest_after_it(drive: DriveFolder, s3: Any, bucket: str) -> None:
    upload(drive, s3, bucket)
    key = drive.files()[0].key
    s3.put_object(Bucket=bucket, Key=key, Body=b"x" * drive.files()[0].size_bytes, Metadata={"sha256": "0" * 64})
    report = upload(drive, s3, bucket)
    assert report.sent == (key, drive.drive.manifest_key)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == drive.files()[0].path.read_bytes()


def test_progress_of_each_file_grows_to_its_size(drive: DriveFolder, s3: Any, bucket: str) -> None:
    calls: dict[str, list[tuple[int, int]]] = {}
    lock = threading.Lock()

    def note(key: str, done: int, total: int) -> None:
        with lock:
            calls.setdefault(key, []).append((done, total))

    upload(drive, s3, bucket, progress=note)
    for file in drive.files():
        assert calls[file.key][-1] == (file.size_bytes, file.size_bytes)
        assert [done for done, _ in calls[file.key]] == sorted(done for done, _ in calls[file.key])


def test_large_files_go_in_parts(s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(uploader, "SINGLE_PUT_BYTES", 6 * 1024 * 1024)
    monkeypatch.setattr(uploader, "PART_BYTES", 5 * 1024 * 1024)
    big = tmp_path / "big"
    generate(replace(SPEC, rig=replace(RIG, lidar_rings=64, lidar_columns=2000), segment_s=10.0), big)
    folder = DriveFolder.load(big)
    lidar = next(file for file in folder.files() if "lidar_top" in file.key)
    assert lidar.size_bytes > 6 * 1024 * 1024
    began: list[str] = []
    s3.meta.events.register("before-parameter-build.s3.CreateMultipartUpload", lambda params, **_: began.append(params["Key"]))
    upload(folder, s3, bucket)
    assert began == [lidar.key]
    stored = s3.get_object(Bucket=bucket, Key=lidar.key)
    assert stored["Body"].read() == lidar.path.read_bytes()
    assert stored["Metadata"]["sha256"] == hashlib.sha256(lidar.path.read_bytes()).hexdigest()
    assert upload(folder, s3, bucket).sent == ()


def test_an_empty_object_and_a_stray_file_can_be_sent_on_purpose(s3: Any, bucket: str, tmp_path: Path) -> None:
    faults = tuple(Fault.parse(text) for text in ("empty_object:imu", "stray_file"))
    folder = generate(replace(SPEC, faults=faults), tmp_path / "faulty")
    upload(folder, s3, bucket)
    landed = listed(s3, bucket)
    assert landed["car-9/upload-1/lidar/frames.pkl"] == 4
    assert [size for key, size in landed.items() if "/imu/" in key].count(0) == 1
    assert upload(folder, s3, bucket).sent == ()


def test_a_drive_without_manifest_lands_without_one(s3: Any, bucket: str, tmp_path: Path) -> None:
    folder = generate(replace(SPEC, faults=(Fault.parse("no_manifest"),)), tmp_path / "faulty")
    report = upload(folder, s3, bucket)
    assert report.sent[-1] == folder.drive.calibration_key
    assert folder.drive.manifest_key not in listed(s3, bucket)


def test_an_object_that_is_not_kept_as_sent_is_an_error(drive: DriveFolder, s3: Any, bucket: str) -> None:
    victim = drive.files()[2]

    def corrupt(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == victim.key:
            params["Metadata"] = {"sha256": "f" * 64}

    s3.meta.events.register("before-parameter-build.s3.PutObject", corrupt)
    with pytest.raises(UploadError, match=f"{victim.key} was not kept as sent: its SHA-256 is noted as fff"):
        upload(drive, s3, bucket)
    assert drive.drive.manifest_key not in listed(s3, bucket)


def test_a_missing_bucket_is_reported_with_the_next_step(drive: DriveFolder, s3: Any) -> None:
    with pytest.raises(UploadError, match=r"no bucket 'nowhere' at http://.*`scenelake up` makes it, SCENELAKE_RAW_BUCKET"):
        upload(drive, s3, "nowhere")


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take it, and connections are refused
        yield taken.getsockname()[1]


def test_an_endpoint_that_refuses_is_reported_with_the_next_step(
    drive: DriveFolder, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = f"http://127.0.0.1:{closed_port}"
    s3 = client(endpoint, monkeypatch, Config(retries={"total_max_attempts": 1}))
    with pytest.raises(UploadError, match=f"{endpoint} does not respond; start the local stack with `scenelake up`"):
        upload(drive, s3, "raw")


def test_a_denied_put_is_reported_with_the_key(drive: DriveFolder, s3: Any, bucket: str) -> None:
    def deny(**_: Any) -> None:
        reply = {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(reply, "PutObject")  # type: ignore[arg-type]

    s3.meta.events.register("before-call.s3.PutObject", deny)
    with pytest.raises(UploadError, match=r"\.mcap was not sent: access to the bucket .* is denied; check the credentials"):
        upload(drive, s3, bucket)
    assert listed(s3, bucket) == {}

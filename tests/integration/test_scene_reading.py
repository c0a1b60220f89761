"""A published scene comes back alone, through a real S3 endpoint and the real catalog."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lake.iceberg.catalog import open_catalog
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.creation import ensure_tables
from lake.tables.names import SCENES_TABLE
from lake.tables.publish import Batch, publish
from lake.tables.rows import PublicationFacts
from lake.tables.scene_key import SceneKey
from lake.tables.scene_reader import SceneReader
from tests.unit.lake.tables.scenes_files import LIDAR_BYTES, RADAR_BYTES, noise, parquet

DRIVE = DriveId("car-1", "a-drive-with-a-name-longer-than-sixteen")
KEYS = [SceneKey(DRIVE, 1_714_521_600 * 10**9 + number * 10**8) for number in range(8)]


@pytest.mark.parametrize("through_store", [True, False])
def test_a_published_scene_is_read_alone(settings: Settings, through_store: bool) -> None:
    store, catalog = ObjectStore.connect(), open_catalog(settings)
    ensure_tables(catalog)
    files = []
    for number in range(0, len(KEYS), 4):
        target = ObjectVersion(settings.lake_bucket, f"warehouse/gold/scenes/data/{number}.parquet")
        store.put(target, parquet(KEYS[number : number + 4], 2))
        files.append(target.uri)
    facts = PublicationFacts(scenes=len(KEYS), frames=0, records=0)
    publish(catalog, Batch(DRIVE, "r1", 1, {SCENES_TABLE: files}, facts))
    table = catalog.load_table(SCENES_TABLE)

    def ranges(uri: str, start: int, length: int) -> bytes:
        return store.read(ObjectVersion.from_uri(uri), start, length)

    reader = SceneReader(table, ranges if through_store else None)
    for key in KEYS:
        whole, radars = reader.scene(key), reader.scene(key, ("radars",))
        assert whole is not None
        assert radars is not None
        assert whole.lidars[0].points == noise(key.anchor_ns % 2**32, LIDAR_BYTES)
        assert radars.radars[0].points == noise(key.anchor_ns % 2**32 + 3, RADAR_BYTES)
        assert radars == replace(whole, lidars=(), cameras=())
    assert reader.scene(SceneKey(DRIVE, KEYS[-1].anchor_ns + 1)) is None

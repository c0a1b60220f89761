"""Opening the catalog that the settings name."""

from __future__ import annotations

import logging

from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from lake.iceberg.file_io import FILE_IO
from lake.iceberg.rest_catalog import RestLakeCatalog, rest_properties
from lake.iceberg.sql_catalog import LakeCatalog
from lake.settings import AwsSettings, Settings

CATALOG_NAME = "scenelake"
BUSY_TIMEOUT_S = 60
_S3_PROPERTIES = {  # of PyIceberg's file IO, each from the equivalent argument of boto3
    "s3.endpoint": "endpoint_url",
    "s3.region": "region_name",
    "s3.access-key-id": "aws_access_key_id",
    "s3.secret-access-key": "aws_secret_access_key",
    "s3.session-token": "aws_session_token",
}

AnyCatalog = LakeCatalog | RestLakeCatalog


def open_catalog(settings: Settings) -> AnyCatalog:
    """Open the catalog that `settings` names, with the S3 endpoint, region and credentials of `settings.aws`.

    Raises:
        SettingsError: The address of a REST catalog is not one.
        TableError: The REST catalog cannot commit several tables at once.
    """
    logging.getLogger("pyiceberg.io").setLevel(logging.WARNING)  # at INFO it names the class of `FILE_IO` for each table opened
    uri = settings.catalog_uri.get_secret_value()
    if uri.startswith("rest+"):
        return RestLakeCatalog(CATALOG_NAME, **_file_properties(settings.aws), **rest_properties(uri))
    properties = {"uri": uri, "warehouse": settings.warehouse, **_file_properties(settings.aws)}
    if uri.startswith("sqlite:"):
        properties["uri"] = f"{uri}{'&' if '?' in uri else '?'}timeout={BUSY_TIMEOUT_S}"
    else:
        properties["pool_pre_ping"] = "true"  # a connection that a restarted server has closed is replaced before use
    try:
        return LakeCatalog(CATALOG_NAME, **properties)
    except (IntegrityError, OperationalError, ProgrammingError):
        # Another process may have created the catalog's own tables between check and creation. A real fault recurs.
        return LakeCatalog(CATALOG_NAME, **properties)


def _file_properties(aws: AwsSettings) -> dict[str, str]:
    given = aws.client_arguments("s3")
    return FILE_IO | {name: given[argument] for name, argument in _S3_PROPERTIES.items() if argument in given}

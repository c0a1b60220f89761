#!/bin/sh
# Runs once, on a new volume: a database and a user per client, closed to the others.
set -eu

create() {
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --set name="$1" --set password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

create airflow "$AIRFLOW_DB_PASSWORD"
create catalog "$CATALOG_DB_PASSWORD"
# Even if the profile is off: this script does not run again when it is enabled on an existing volume.
create marquez "$MARQUEZ_DB_PASSWORD"

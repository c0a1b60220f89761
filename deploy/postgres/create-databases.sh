#!/bin/sh
# Runs once, when the volume is new: a database and a user for each who keeps something here, closed to the others.
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
# Also where the profile is off: a volume that exists runs this no more when it is switched on.
create marquez "$MARQUEZ_DB_PASSWORD"

#!/bin/sh
# Migrates Airflow's database and sets the password of its only user.
set -eu
umask 077
printf '{"admin": "%s"}\n' "$AIRFLOW_ADMIN_PASSWORD" > /var/lib/scenelake/airflow/passwords.json
exec airflow db migrate

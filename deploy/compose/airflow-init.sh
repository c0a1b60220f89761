#!/bin/sh
# Airflow's tables, brought up to date, and the password of its one user.
set -eu
umask 077
printf '{"admin": "%s"}\n' "$AIRFLOW_ADMIN_PASSWORD" > /var/lib/scenelake/airflow/passwords.json
exec airflow db migrate

#!/bin/sh
# Runs a command with the names of the provisioned buckets, queues and tables in its environment, if they exist yet, and with the
# configuration of an authenticated Spark, if there is a secret for it.
set -eu
names=/var/lib/scenelake/names/resources.env
if [ -r "$names" ]; then
    while IFS='=' read -r name value; do
        # Parsed, not sourced: these values come from the endpoint.
        case "$name" in SCENELAKE_*) export "$name=$value" ;; esac
    done < "$names"
fi
# Spark reads its secret from a private file: a command line can be read by every process on the machine.
if [ -n "${SPARK_AUTH_SECRET:-}" ]; then
    export SPARK_CONF_DIR="${TMPDIR:-/tmp}/spark-conf"
    (
        umask 077
        mkdir -p "$SPARK_CONF_DIR"
        cp "$(dirname "$0")"/../spark/* "$SPARK_CONF_DIR"
        echo "spark.authenticate.secret $SPARK_AUTH_SECRET" >> "$SPARK_CONF_DIR/spark-defaults.conf"
    )
    unset SPARK_AUTH_SECRET
fi
exec "$@"

#!/bin/sh
# Runs a command with the names of the provisioned buckets, queues and tables in its environment, if they exist yet.
set -eu
names=/var/lib/scenelake/names/resources.env
if [ -r "$names" ]; then
    while IFS='=' read -r name value; do
        # Parsed, not sourced: these values come from the endpoint.
        case "$name" in SCENELAKE_*) export "$name=$value" ;; esac
    done < "$names"
fi
exec "$@"

#!/bin/sh
# Runs a command with the names of buckets, queues and tables that provisioning has written down. What starts before that,
# or needs none of them, runs without.
set -eu
names=/var/lib/scenelake/names/resources.env
if [ -r "$names" ]; then
    while IFS='=' read -r name value; do
        # Read, not sourced: the endpoint chose these values.
        case "$name" in SCENELAKE_*) export "$name=$value" ;; esac
    done < "$names"
fi
exec "$@"

#!/bin/sh
# Runs a Spark standalone daemon in the foreground: deploy/compose/spark.sh master|worker
# Its configuration, with the secret that it asks for, is in SPARK_CONF_DIR (see entrypoint.sh).
set -eu
export SPARK_DAEMON_MEMORY=256m
export SPARK_DAEMON_JAVA_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
daemon="$SPARK_HOME/bin/spark-class org.apache.spark.deploy"
case "$1" in
    master)
        # Drivers submit over the native protocol, which authenticates; the REST port does not. The UI gets no kill button.
        export SPARK_MASTER_OPTS="-Dspark.master.rest.enabled=false -Dspark.ui.killEnabled=false"
        exec $daemon.master.Master --host spark-rpc --port 7077 --webui-port 8080
        ;;
    worker)
        export SPARK_WORKER_OPTS="-Dspark.worker.cleanup.enabled=true"
        # Drivers and the master reach it by its address in their network; scaled workers have no host name of their own.
        address=$(python -ES -c "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('spark-rpc', 7077)); print(s.getsockname()[0])")
        exec $daemon.worker.Worker --host "$address" --port 7078 --webui-port 8081 --work-dir /tmp/spark spark://spark-rpc:7077
        ;;
    *)
        echo "usage: $0 master|worker" >&2
        exit 2
        ;;
esac

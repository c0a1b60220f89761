#!/bin/sh
# Runs a Spark standalone daemon in the foreground: deploy/compose/spark.sh master|worker
set -eu
export SPARK_CONF_DIR=/opt/scenelake/deploy/spark
export SPARK_DAEMON_MEMORY=256m
export SPARK_DAEMON_JAVA_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
daemon="$SPARK_HOME/bin/spark-class org.apache.spark.deploy"
case "$1" in
    master)
        # Drivers submit over the native protocol; the REST port and the kill button of the UI are not needed.
        export SPARK_MASTER_OPTS="-Dspark.master.rest.enabled=false -Dspark.ui.killEnabled=false"
        exec $daemon.master.Master --host spark-master --port 7077 --webui-port 8080
        ;;
    worker)
        export SPARK_WORKER_OPTS="-Dspark.worker.cleanup.enabled=true"
        # Drivers and the master reach it by address; scaled workers have no host name of their own.
        exec $daemon.worker.Worker --host "$(hostname -i)" --port 7078 --webui-port 8081 --work-dir /tmp/spark spark://spark-master:7077
        ;;
    *)
        echo "usage: $0 master|worker" >&2
        exit 2
        ;;
esac

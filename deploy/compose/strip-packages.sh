#!/bin/sh
# Removes what nothing here runs from an installed environment, and byte-compiles the rest:
#   sh deploy/compose/strip-packages.sh VENV
# The demo and the end-to-end tests passed on images without any of this. To use one of these, delete its line.
set -eu
venv="$1"
packages="$(echo "$venv"/lib/python3.*/site-packages)"
jars="$packages/pyspark/jars"

# Spark only runs Python functions on a standalone cluster: no Kubernetes, Hive metastore, machine learning, streaming state or
# Spark Connect.
rm -rf "$jars/connect-repl"
rm -f "$jars"/spark-connect* "$jars"/spark-kubernetes* "$jars"/kubernetes-* "$jars"/vertx-* \
    "$jars"/spark-hive* "$jars"/hive-exec* "$jars"/hive-metastore* "$jars"/hive-cli* "$jars"/hive-beeline* "$jars"/hive-jdbc* \
    "$jars"/derby-* "$jars"/datanucleus-* \
    "$jars"/spark-mllib* "$jars"/spark-graphx* "$jars"/breeze* "$jars"/spire* "$jars"/cats-kernel* "$jars"/algebra* \
    "$jars"/lapack-* "$jars"/arpack* "$jars"/blas-* "$jars"/rocksdbjni* \
    "$jars"/netty-*-osx-* "$jars"/netty-*-windows-*
rm -rf "$packages/pyspark/examples" "$packages/pyspark/data"

# No Arrow Flight.
rm -f "$packages"/pyarrow/libarrow_flight* "$packages"/pyarrow/libarrow_python_flight* "$packages"/pyarrow/_flight.*

# Airflow's UI brings its own translations; Babel's data would only format server-side numbers and dates.
find "$packages/babel/locale-data" -type f ! -name 'root.dat' ! -name 'en*.dat' -delete

# Tests, headers and link-time libraries, not needed at run time.
for name in numpy pandas pyarrow scipy matplotlib; do
    find "$packages/$name" -depth -type d -name tests -exec rm -rf {} +
done
rm -rf "$packages/pyarrow/include" "$packages/numpy/_core/include" "$packages/pip" "$packages/matplotlib/mpl-data/sample_data"

find "$venv" -depth -type d -name __pycache__ -exec rm -rf {} +
# Without bytecode, every process would compile Airflow at start.
"$venv/bin/python" -m compileall -q -j 0 "$packages" > /dev/null || true # some packages ship templates that are not valid Python

# Fail here, not in a container, if something needed is missing.
"$venv/bin/python" -c 'import great_expectations, matplotlib, pyarrow.dataset, pyarrow.parquet, pyiceberg.catalog.sql, pyspark.sql'

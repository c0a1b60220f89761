# One image for all our components: Airflow's four processes, Spark master and workers, the event-source mapping, the demo.
# Driver and executors exchange pickled functions, so they need the same Python, packages and code anyway.

FROM python:3.12-slim-bookworm AS runtime
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
    && groupadd --gid 50000 scenelake \
    && useradd --uid 50000 --gid 50000 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin scenelake \
    # A named volume inherits the owner of the folder it is mounted on.
    && install -d -o scenelake -g scenelake -m 0755 /var/lib/scenelake /var/lib/scenelake/names /var/lib/scenelake/lineage \
    && install -d -o scenelake -g scenelake -m 0700 /var/lib/scenelake/airflow \
    && install -d -o scenelake -g scenelake -m 0755 /var/log/scenelake

FROM python:3.12-slim-bookworm AS packages
COPY requirements/bootstrap.lock requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/uv && /opt/uv/bin/pip install --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
COPY requirements/compose.lock requirements/
# The virtual environment has the same path in both stages, because its scripts contain it.
RUN --mount=type=cache,target=/root/.cache/uv \
    /opt/uv/bin/uv venv --python /usr/local/bin/python /opt/venv \
    && UV_LINK_MODE=copy /opt/uv/bin/uv pip install --python /opt/venv/bin/python --no-deps --require-hashes -r requirements/compose.lock
COPY deploy/compose/strip-packages.sh deploy/compose/
RUN sh deploy/compose/strip-packages.sh /opt/venv

FROM runtime
COPY --from=packages /opt/venv /opt/venv
WORKDIR /opt/scenelake
COPY . .
# The build backend is only mounted: nothing in the image needs it.
RUN --mount=type=bind,from=packages,source=/opt/uv,target=/opt/uv \
    PYTHONPATH=/opt/uv/lib/python3.12/site-packages /opt/uv/bin/uv pip install --no-cache --python /opt/venv/bin/python --no-deps --no-build-isolation --editable . \
    # Bytecode cannot be written later: the file system is read-only and the user unprivileged.
    && python -m compileall -q cli dags deploy fleet ingest lake lineage localstack ops plugins quality scenes sensors spark_jobs
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/scenelake:/opt/scenelake/dags \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYSPARK_PYTHON=/opt/venv/bin/python \
    SPARK_HOME=/opt/venv/lib/python3.12/site-packages/pyspark \
    HOME=/tmp \
    AIRFLOW_HOME=/tmp/airflow \
    MALLOC_ARENA_MAX=2 \
    AWS_EC2_METADATA_DISABLED=true
# The image has no git, so the commit is a build argument. It comes last, so that a new commit invalidates no other layer.
ARG SCENELAKE_CODE_VERSION=unknown
ENV SCENELAKE_CODE_VERSION=${SCENELAKE_CODE_VERSION:-unknown}
USER scenelake
ENTRYPOINT ["/opt/scenelake/deploy/compose/entrypoint.sh"]
CMD ["scenelake", "--help"]

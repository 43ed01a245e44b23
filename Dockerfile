# One image for the whole hub and for its parts. This runs it with the embedded database and storage:
#     docker build --build-arg VERSION=$(git describe --tags) -t imagehub .
#     docker run -p 8000:8000 -p 9710:9710 -v hub:/data imagehub
# compose.yaml runs it on MySQL, MinIO and Redis, behind Caddy.

FROM python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7 AS build
WORKDIR /app
RUN python -m venv /venv && python -m venv /node
COPY requirements requirements
# Dependencies first, so that these layers are cached when only the code changes. npm is needed only
# to build the browser files.
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements/build.txt -r requirements/tiles.txt \
    && /node/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements/assets.txt
COPY setup.cfg setup.py pyproject.toml MANIFEST.in README.md LICENSE package.json package-lock.json ./
COPY imagehub imagehub
COPY migrations migrations
COPY tools tools
# The repository, with its tags, is not part of the build.
ARG VERSION=0.1.dev0
RUN /node/bin/python -m tools.build_assets \
    && SETUPTOOLS_SCM_PRETEND_VERSION=$VERSION /venv/bin/pip install --no-cache-dir \
        --disable-pip-version-check --no-deps --no-build-isolation --compile .

FROM python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7
RUN groupadd --system --gid 10001 hub \
    && useradd --system --uid 10001 --gid hub --home-dir /data --shell /usr/sbin/nologin hub \
    && install -d -o hub -g hub -m 700 /data
COPY --from=build /venv /venv
WORKDIR /data
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    IMAGEHUB_DATA_DIR=/data
USER 10001:10001
VOLUME /data
# The web server, and the embedded S3 server from which browsers load renditions.
EXPOSE 8000 9710
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["imagehub"]
CMD ["serve", "--host", "0.0.0.0"]

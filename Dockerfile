# Image of the worker: the locked dependencies and the package in one virtual environment.
#
#   docker build -t mastery-engine .
#   docker run --rm mastery-engine demo          everything embedded, nothing else needed
#   docker run --rm --env-file .env -e HTTP_HOST=0.0.0.0 -p 127.0.0.1:8000:8000 mastery-engine

FROM python:3.13-slim-bookworm AS builder

ARG UV_VERSION=0.13.8
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/opt/mastery \
    UV_PYTHON=/usr/local/bin/python3.13 \
    UV_PYTHON_DOWNLOADS=never

RUN --mount=type=cache,target=/root/.cache/pip pip install "uv==${UV_VERSION}"

WORKDIR /src

# Copied first, so that the dependencies are reinstalled only when the lock file changes.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev --no-install-project

COPY README.md LICENSE ./
COPY supabase/ supabase/
COPY contracts/ contracts/
COPY workers/ workers/
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev --no-editable


FROM python:3.13-slim-bookworm

# A fixed number, so that a cluster can demand runAsNonRoot.
RUN useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin mastery

COPY --from=builder /opt/mastery /opt/mastery

ENV PATH=/opt/mastery/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HTTP_HOST=0.0.0.0 \
    HTTP_PORT=8000 \
    LOG_FORMAT=json

USER 10001:10001
WORKDIR /home/mastery
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"HTTP_PORT\"]}/health/live', timeout=4)"]

ENTRYPOINT ["mastery"]
CMD ["worker"]

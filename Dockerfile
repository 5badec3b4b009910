# Runs Multichat with WORKERS processes on port 8000. Set DATABASE_URL and REDIS_URL; see docs/operating.md.

FROM node:22-slim AS browser
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund --omit=dev

FROM python:3.11-slim-trixie AS build
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY manage.py CHANGELOG.md ./
COPY multichat multichat
COPY chat chat
COPY templates templates
COPY locale locale
COPY static static
COPY --from=browser /app/node_modules node_modules
# The state of the build goes to /tmp, so that no secret key stays in the image.
# esbuild, which makes the bundles, is not needed to serve.
RUN VAR=/tmp/var STATIC_ROOT=/app/collected /opt/venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
 && rm -rf node_modules/esbuild node_modules/@esbuild

FROM python:3.11-slim-trixie
# For manage.py backup and restore. The version of the Debian release is the right one.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends postgresql-client \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
RUN useradd --system --uid 10001 --no-create-home multichat \
 && install -d -o multichat -m 700 /var/lib/multichat
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 PORT=8000 VAR=/var/lib/multichat STATIC_ROOT=/app/collected
USER 10001
VOLUME /var/lib/multichat
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["sh", "-c", "python manage.py migrate --no-input --verbosity 0 --skip-checks && exec python -m multichat.workers"]

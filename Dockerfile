# syntax=docker/dockerfile:1
# Stepwell in a container: see docs/deployment.md. CI has no engine that builds images: there this file is linted, and what
# it names is held against the code, but it is not built.

FROM python:3.13-slim-trixie AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
# The wheel, and an environment with it and the versions that the tests ran with.
RUN python -m venv /srv/stepwell \
    && /srv/stepwell/bin/pip install --no-cache-dir --constraint constraints.txt ".[postgres,encryption]"

FROM python:3.13-slim-trixie
# A fixed number: whoever owns a volume or a secret, or names the user to Kubernetes, can rely on it. Its home has the
# store's file, and code that is laid out beside a store.
RUN groupadd --gid 10001 stepwell \
    && useradd --uid 10001 --gid 10001 --create-home --home-dir /data --shell /usr/sbin/nologin stepwell
COPY --from=build /srv/stepwell /srv/stepwell
ENV PATH=/srv/stepwell/bin:$PATH \
    STEPWELL_STORE=sqlite:////data/stepwell.db \
    XDG_CACHE_HOME=/data/cache
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8787
# Requests and then steps in flight have 5 seconds (`grace`), which `docker stop --time 30` waits for.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8787/healthz', timeout=4)"]
ENTRYPOINT ["stepwell"]
# Code comes by `stepwell deploy`; an image with code of its own ends with CMD ["serve", "/app", "--host", "0.0.0.0"].
CMD ["serve", "--allow-deploy", "--host", "0.0.0.0"]

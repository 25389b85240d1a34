# The broker as an image: packages by hash from the lock, no root, data in a volume.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
RUN python -m venv /opt/broker && /opt/broker/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY broker broker
COPY schemas schemas
COPY processes processes
COPY addresses addresses
RUN /opt/broker/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/broker --create-home broker
COPY --from=build /opt/broker /opt/broker
USER broker
VOLUME /var/lib/broker
EXPOSE 8080 8081
HEALTHCHECK --interval=15s --timeout=3s CMD ["/opt/broker/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["/opt/broker/bin/broker"]
CMD ["serve", "--config", "/etc/broker/broker.toml"]

# The broker as an image: packages by hash from the lock, no root, data in a volume, the rest may be read-only.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
RUN python -m venv /opt/broker && /opt/broker/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY broker broker
COPY schemas schemas
COPY processes processes
COPY addresses addresses
COPY profiles profiles
RUN /opt/broker/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/broker broker && install -d -o broker -g broker -m 0700 /var/lib/broker
COPY --from=build /opt/broker /opt/broker
# Settings, records, keys and clients are mounted at /etc/broker; only the volume is written to.
ENV BROKER_CONFIG=/etc/broker/broker.toml BROKER_DATA=/var/lib/broker PYTHONDONTWRITEBYTECODE=1
USER broker
WORKDIR /var/lib/broker
VOLUME /var/lib/broker
EXPOSE 8080 8081
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["/opt/broker/bin/broker", "check", "--health"]
ENTRYPOINT ["/opt/broker/bin/broker"]
CMD ["serve"]

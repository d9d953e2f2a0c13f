# How to use it, and with which filterd.yaml: docs/operations.md.
FROM python:3.13-slim AS build
COPY . /src
ARG EXTRAS=postgres
RUN python -m venv /opt/filterd && /opt/filterd/bin/pip install --no-cache-dir "/src[$EXTRAS]"

FROM python:3.13-slim
RUN useradd --system --uid 990 --home-dir /var/lib/filterd --create-home --shell /usr/sbin/nologin filterd
COPY --from=build /opt/filterd /opt/filterd
COPY packaging/filterd.yaml /etc/filterd/filterd.yaml
ENV PATH=/opt/filterd/bin:$PATH PYTHONUNBUFFERED=1
USER filterd
VOLUME /var/lib/filterd
EXPOSE 10025 11333 11334 8080
# 1 is degraded: a list that does not answer is no reason to start the service again
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s CMD filterd status >/dev/null || [ $? -eq 1 ]
STOPSIGNAL SIGTERM
ENTRYPOINT ["filterd"]
CMD ["serve", "-c", "/etc/filterd/filterd.yaml"]

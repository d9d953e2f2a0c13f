# docker build -t filterd . && docker run -p 10025:10025 -v ./filterd.yaml:/etc/filterd/filterd.yaml filterd
FROM python:3.13-slim AS build
COPY . /src
RUN python -m venv /opt/filterd && /opt/filterd/bin/pip install --no-cache-dir /src

FROM python:3.13-slim
RUN useradd --system --uid 990 --home-dir /var/lib/filterd --create-home --shell /usr/sbin/nologin filterd
COPY --from=build /opt/filterd /opt/filterd
COPY packaging/filterd.yaml /etc/filterd/filterd.yaml
ENV PATH=/opt/filterd/bin:$PATH PYTHONUNBUFFERED=1
USER filterd
VOLUME /var/lib/filterd
EXPOSE 10025 11333
HEALTHCHECK --interval=30s --timeout=15s CMD ["filterd", "status"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["filterd"]
CMD ["serve", "-c", "/etc/filterd/filterd.yaml"]

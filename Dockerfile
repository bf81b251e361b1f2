# One image for the server and the dashboard; docker-compose.yml says which of them a container runs.

FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
COPY dashboard dashboard
COPY migrations migrations
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MONITOR_DIR=/data
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[server]" \
    && rm -rf /wheels \
    && useradd --create-home --uid 1000 monitor \
    && mkdir /data \
    && chown monitor /data
USER monitor
VOLUME /data
EXPOSE 8470 8471
ENTRYPOINT ["python", "-m", "monitor"]
CMD ["up", "--no-dashboard"]

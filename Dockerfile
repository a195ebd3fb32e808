# All commands of Trunkline in one image: docker build -t trunkline . && docker run --rm trunkline tap-evolux --about
#
# The versions are those of requirements.lock. Nothing that builds or installs is in what runs, which is not root.

FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
# Git stays outside: the version comes with --build-arg VERSION=1.2.3, which `python3 run.py container` does.
ARG VERSION=0.1.0.dev0
ENV SETUPTOOLS_SCM_PRETEND_VERSION_FOR_TRUNKLINE=$VERSION
COPY pyproject.toml requirements.lock README.md LICENSE CHANGELOG.md ./
COPY schemas schemas
COPY taps taps
COPY targets targets
COPY sandbox sandbox
COPY commands commands
COPY orchestrate/trunkline_orchestrate orchestrate/trunkline_orchestrate
RUN uv venv --no-cache /opt/trunkline \
    && uv pip install --no-cache --python /opt/trunkline/bin/python --constraint requirements.lock .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /data trunkline
COPY --from=build /opt/trunkline /opt/trunkline
ENV PATH=/opt/trunkline/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
# Configs, states and files of DuckDB: mount it. Secrets come as variables, such as TAP_EVOLUX_API_TOKEN.
WORKDIR /data
CMD ["trunkline", "--help"]

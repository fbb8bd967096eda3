# The image of every process of the service: `experiment-operator watcher`, `worker`, `api` or `all`. It needs BuildKit.
#
# Behind a company's proxy: --build-arg BASE_IMAGE=… and PIP_INDEX_URL=… name its mirrors, and
# --secret id=ca_bundle,src=FILE its certificate authorities, which stay out of the image.

ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL
ARG PIP_NO_CACHE_DIR=1
ARG PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
# Two environments: `tools` has pip and the build backend, the other is what goes into the image.
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/experiment-operator

COPY requirements.lock ./
RUN --mount=type=secret,id=ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    tools/bin/pip --python /opt/experiment-operator/bin/python install --quiet \
      --require-hashes --only-binary=:all: --no-compile -r requirements.lock \
    # 12 MB of Rust sources that come along with the wheel
    && rm -r /opt/experiment-operator/lib/python3.*/site-packages/temporalio/bridge/sdk-core

COPY requirements-dev.lock ./
RUN --mount=type=secret,id=ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi; \
    sed -nE '/^(hatchling|packaging|pathspec|pluggy|trove-classifiers)==/,/[^\\]$/p' requirements-dev.lock > backend.lock \
    && tools/bin/pip install --quiet --require-hashes --only-binary=:all: --no-deps -r backend.lock

COPY . .
RUN tools/bin/pip wheel --quiet --no-build-isolation --no-deps --wheel-dir dist . \
    && tools/bin/pip --python /opt/experiment-operator/bin/python install --quiet --no-index --no-deps --no-compile dist/*.whl \
    # By hash, unchecked: files of an image do not change, and their times may
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/experiment-operator/lib

FROM ${BASE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="experiment-operator" \
      org.opencontainers.image.description="Temporal-driven reconciliation of Experiment resources" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/experiment-operator /opt/experiment-operator
ENV PATH=/opt/experiment-operator/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1
# By number, so that Kubernetes can see that it is not root
USER 65532:65532
ENTRYPOINT ["experiment-operator"]

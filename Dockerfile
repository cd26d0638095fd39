# Three images of one source:
#
#   controller   the operator; no torch, numpy or kserve in it
#   model        the model server, with the compiler that torch.compile needs; GPU or CPU
#   model-cpu    the model server without a compiler: demonstrations and tests
#
# `make images` builds them with docker, podman or buildah. The packages come before the code and
# from hashed constraints alone, so a change of code rebuilds megabytes, not gigabytes. Bytecode is
# made here, for nothing can be written where they run.

# Any image with Python 3.11 or newer, its venv module and CA certificates.
ARG BASE=docker.io/library/python:3.12-slim-bookworm

# -- what all have ------------------------------------------------------------------------------

FROM ${BASE} AS base
ENV PATH=/opt/kiln/bin:$PATH \
    PYTHONPATH=/opt/kiln/code \
    PYTHONUNBUFFERED=1
WORKDIR /opt/kiln/code

# -- packages -----------------------------------------------------------------------------------
# Where pip finds them and whom it trusts is the secret `pip`, a pip.conf, which no layer keeps:
# docker build --secret id=pip,src=pip.conf. Without one: PyPI.

# The API's client is 76 MB of generated code, most of it docstrings: it goes along without them,
# as bytecode alone. The operator loads all of it, so that saves memory, too.
FROM base AS controller-packages
COPY constraints/controller.txt /opt/kiln/constraints.txt
RUN --mount=type=secret,id=pip,target=/run/secrets/pip \
    export PIP_CONFIG_FILE=/run/secrets/pip \
 && python3 -m venv /opt/kiln \
 && /opt/kiln/bin/pip install --no-compile --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /opt/kiln/constraints.txt \
 && /opt/kiln/bin/pip uninstall --yes pip setuptools \
 && cd /opt/kiln/lib/python3*/site-packages/kubernetes \
 && python3 -m compileall -q -b -o 2 . \
 && find . -name '*.py' -delete

FROM base AS model-packages
COPY constraints/model.txt /opt/kiln/constraints.txt
RUN --mount=type=secret,id=pip,target=/run/secrets/pip \
    export PIP_CONFIG_FILE=/run/secrets/pip \
 && python3 -m venv /opt/kiln \
 && /opt/kiln/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /opt/kiln/constraints.txt \
 && /opt/kiln/bin/pip uninstall --yes pip

# Triton is a gigabyte that compiles for GPUs; torch needs its CUDA libraries even without one.
FROM base AS model-cpu-packages
COPY constraints/model.txt /opt/kiln/constraints.txt
RUN --mount=type=secret,id=pip,target=/run/secrets/pip \
    export PIP_CONFIG_FILE=/run/secrets/pip \
 && sed -i '/^triton==/,/[^\\]$/d' /opt/kiln/constraints.txt \
 && python3 -m venv /opt/kiln \
 && /opt/kiln/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /opt/kiln/constraints.txt \
 && /opt/kiln/bin/pip uninstall --yes pip

# -- code -------------------------------------------------------------------------------------------

FROM base AS controller-code
COPY LICENSE /opt/kiln/code/
COPY controller /opt/kiln/code/controller
# All that the operator knows of the model server.
COPY model/__init__.py /opt/kiln/code/model/
COPY model/contract /opt/kiln/code/model/contract
RUN python3 -m compileall -q /opt/kiln/code

FROM base AS model-code
COPY LICENSE /opt/kiln/code/
COPY model /opt/kiln/code/model
RUN python3 -m compileall -q /opt/kiln/code

# -- the images -------------------------------------------------------------------------------------
# On top of their packages, not with a copy of them: a builder would read gigabytes to tell whether
# the copy is up to date.
# What changes with each build (version, revision, source) is a label that `make images` gives.

FROM controller-packages AS controller
LABEL org.opencontainers.image.title="kiln-controller" \
      org.opencontainers.image.description="Kiln's operator: DiffusionService objects become warm pods" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=controller-code /opt/kiln/code /opt/kiln/code
# Bytecode of what the operator imports: of the API's hundreds of models, that is a few.
RUN python -c "import controller.__main__, controller.operator"
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "controller"]

FROM model-cpu-packages AS model-cpu
LABEL org.opencontainers.image.title="kiln-model" \
      org.opencontainers.image.description="Kiln's model server: a pod says Ready only when it is hot" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=model-code /opt/kiln/code /opt/kiln/code
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "model"]
CMD ["serve"]

# torch.compile calls a C++ compiler while the server warms up, and wants Python's headers, which
# the usual images of Python have and Debian keeps in a package of its own.
FROM model-packages AS compiler
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ \
 && { python3 -c "import pathlib, sysconfig, sys; sys.exit(not pathlib.Path(sysconfig.get_path('include'), 'Python.h').exists())" \
      || apt-get install --yes --no-install-recommends python3-dev; } \
 && rm -rf /var/lib/apt/lists/*

FROM compiler AS model
LABEL org.opencontainers.image.title="kiln-model" \
      org.opencontainers.image.description="Kiln's model server: a pod says Ready only when it is hot" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=model-code /opt/kiln/code /opt/kiln/code
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "model"]
CMD ["serve"]

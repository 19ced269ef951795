# The relay in a container: one executable, the C library and nothing else, not even a shell. README's "Container" says
# how to run it. Both images can be replaced by mirrors.
ARG BUILD_IMAGE=docker.io/library/node:24-trixie-slim
ARG BASE_IMAGE=gcr.io/distroless/base-nossl-debian13:nonroot

# Built on the machine's own platform for whichever is asked for: no emulation.
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY package.json bun.lock bunfig.toml ./
COPY test/get-bun.sh test/
RUN "$(sh test/get-bun.sh)" install --frozen-lockfile --production
COPY build.ts install.sh ./
COPY src src
ARG TARGETARCH
ARG COMMIT=
ARG REPOSITORY=
RUN case "$TARGETARCH" in amd64) target=linux-x64 ;; arm64) target=linux-arm64 ;; *) target=linux-$TARGETARCH ;; esac; \
    PLANSOCKET_COMMIT=$COMMIT PLANSOCKET_REPOSITORY=$REPOSITORY \
      "$(sh test/get-bun.sh)" build.ts --target "$target" --out /out/plansocket \
    && mkdir /out/codex /out/state

FROM ${BASE_IMAGE}
COPY --from=build /out/plansocket /usr/local/bin/plansocket
# Volumes that are empty take over the owner of the folder that they cover.
COPY --from=build --chown=65532:65532 /out/codex /codex
COPY --from=build --chown=65532:65532 /out/state /state
# The mark makes HOST and PORT count. Loopback inside a container can be reached by nobody, so it listens everywhere,
# and that is why it does not start without PLANSOCKET_API_KEY.
ENV PLANSOCKET_CONTAINER=1 \
    HOST=0.0.0.0 \
    PORT=8787 \
    CODEX_HOME=/codex \
    PLANSOCKET_STATE_DIR=/state
USER 65532:65532
EXPOSE 8787
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s --retries=3 CMD ["/usr/local/bin/plansocket", "health"]
ENTRYPOINT ["/usr/local/bin/plansocket"]
CMD ["serve"]

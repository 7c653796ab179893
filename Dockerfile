# syntax=docker/dockerfile:1

# Builder and final image share one Debian release, so that the binary finds the C library it was linked with.
FROM rust:1.95-slim-bookworm AS build
# The allocator is C, and built by make.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock Makefile ./
COPY .cargo .cargo
COPY actors actors
COPY src src
# Not built, but named in the manifest.
COPY benches benches
COPY examples examples
# Migrations and statements are compiled into the binary: the final image holds no SQL files.
COPY sql sql
# How often the service does what: by that it is optimised.
COPY profile profile
# The cache mounts keep crates and compiled dependencies between builds, so that a change of ours compiles ours alone;
# a mount is no part of the image, hence the copy out of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    make dist \
    && cp target/dist/callboard /usr/local/bin/callboard

FROM debian:bookworm-slim AS callboard
LABEL org.opencontainers.image.title="callboard" \
      org.opencontainers.image.description="A publishing API made of supervised actors" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# Webhooks go to https addresses, and the slim image trusts nobody yet.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/callboard /usr/local/bin/callboard
# A number, because an orchestrator that insists on non-root cannot look a name up.
USER 10001:10001
# The admin listener stays on loopback until ADMIN_ADDR and ADMIN_TOKEN are both given.
ENV HTTP_ADDR=0.0.0.0:8000
EXPOSE 8000 8001
# The binary probes itself, as the image has no curl; telemetry is off for it, or a trace every ten seconds would tell of
# nothing but the probe.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["env", "OTEL_SDK_DISABLED=true", "callboard", "doctor", "--probe", "readyz"]
ENTRYPOINT ["callboard"]
CMD ["serve"]

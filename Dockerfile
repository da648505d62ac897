# One image, three commands: router, dispatcher, console (or `up` for all in one process).
#   scripts/build-image, or docker build -t dicom-dispatch .
# Another Debian with Node 24, npm and apt may be given as NODE_IMAGE.
# Renewed together with scripts/pins: the digest names one image for all architectures, a tag would name another every week.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6

FROM ${NODE_IMAGE} AS parts
# binutils for this stage; rsync and ssh for targets of type rsync, and of type sftp with an agent.
RUN apt-get update \
 && apt-get install -y --no-install-recommends binutils rsync openssh-client
WORKDIR /app
ENV CI=true npm_config_update_notifier=false
COPY scripts scripts
RUN case "$(uname -m)" in x86_64) binary=linux-x64 ;; *) binary=linux-arm64 ;; esac \
 && scripts/fetch-pinned /opt/pnpm pnpm "@pnpm/exe.$binary" \
 && printf '#!/bin/sh\nexec node /opt/pnpm/node_modules/pnpm/bin/pnpm.mjs "$@"\n' >/usr/local/bin/pnpm && chmod +x /usr/local/bin/pnpm
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY packages packages
COPY services services
# Production dependencies of the command-line tool and what it needs; neither tests nor samples for them.
RUN pnpm install --frozen-lockfile --prod --ignore-scripts --filter '@dicom-dispatch/cli...' \
 && find . -name '*.test.ts' -not -path '*/node_modules/*' -delete \
 && scripts/prune-modules node_modules
# What Node compiles is kept under the id of the user, for the same options of V8: a service starts sooner, and 25 MB lighter.
RUN mkdir /app/compiled && chown 10001:10001 /app/compiled \
 && NODE_COMPILE_CACHE=/app/compiled setpriv --reuid 10001 --regid 10001 --clear-groups \
    node --disable-warning=ExperimentalWarning --max-semi-space-size=4 scripts/warm-compile-cache.mjs /app
# All that the image has: Node, rsync, ssh, a shell and cat for what ssh asks, the libraries that these need, and ourselves.
COPY LICENSE README.md CHANGELOG.md ./
RUN scripts/gather-image /image node rsync ssh ssh-keyscan sh cat

FROM scratch
# Three layers: the first two, which are the larger part, stay the same from version to version while Node and the packages do.
COPY --from=parts /image/system /
COPY --from=parts /image/modules /
COPY --from=parts /image/app /
WORKDIR /app
ENV NODE_ENV=production PATH=/usr/local/bin:/usr/bin:/bin NODE_COMPILE_CACHE=/app/compiled \
    MALLOC_ARENA_MAX=1
ARG DISPATCH_BUILD=
ARG DISPATCH_VERSION=
ENV DISPATCH_BUILD=${DISPATCH_BUILD}
LABEL org.opencontainers.image.title="dicom-dispatch" \
      org.opencontainers.image.description="dispatches DICOM studies from Orthanc to any number of targets" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${DISPATCH_VERSION}" \
      org.opencontainers.image.revision="${DISPATCH_BUILD}"
USER 10001:10001
# Configuration and secrets are mounted; nothing is written but to Redis and to the folders of targets.
VOLUME ["/config"]
EXPOSE 8080 8081 8082 8083
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --retries=6 --start-period=20s CMD ["node", "/app/healthcheck.mjs"]
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "--max-semi-space-size=4", "/app/packages/cli/src/main.ts"]
CMD ["up", "--config", "/config/dispatch.yaml"]

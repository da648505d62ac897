# One image, three commands: router, dispatcher, console (or `up` for all in one process).
#   docker build -t dicom-dispatch .
# Another base with Node 24 and apt may be given as NODE_IMAGE.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
ENV CI=true npm_config_update_notifier=false
RUN npm install --global --no-audit --no-fund pnpm@12
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY packages packages
COPY services services
# Production dependencies of the command-line tool and what it needs; neither tests nor samples for them.
RUN pnpm install --frozen-lockfile --prod --ignore-scripts --filter '@dicom-dispatch/cli...' \
 && find . -name '*.test.ts' -not -path '*/node_modules/*' -delete

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="dicom-dispatch" org.opencontainers.image.licenses="MIT"
# For targets of type rsync and sftp with an agent.
RUN apt-get update \
 && apt-get install -y --no-install-recommends rsync openssh-client \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
ENV NODE_ENV=production
# The folder that the archive volume of docker-compose.yml is mounted on belongs to the user of the services.
RUN install -d -o 10001 -g 10001 /archive
COPY --from=dependencies /app /app
USER 10001:10001
# Configuration and secrets are mounted; nothing is written but to Redis and to the folders of targets.
VOLUME ["/config"]
EXPOSE 8080 8081 8082 8083
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "--max-semi-space-size=8", "/app/packages/cli/src/main.ts"]
CMD ["up", "--config", "/config/dispatch.yaml"]

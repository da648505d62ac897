import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DispatchError, isLoopback, type Config } from '@dicom-dispatch/core';
import { openPipeline, OperationError, routeAgain } from '@dicom-dispatch/pipeline';
import { parseListen, RedisLost, type Logger, type Redis } from '@dicom-dispatch/runtime';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import { fastify, type FastifyInstance, type FastifyRequest } from 'fastify';
import { z } from 'zod';
import { readFeedState, readSourceStatus, type FeedState } from '@dicom-dispatch/state/feed';
import type { Came } from './held-arrivals.ts';
import { LogSparingly } from './log-sparingly.ts';
import type { SafeOutcome } from './study-router.ts';

export interface PushDependencies {
  readonly config: Config;
  readonly redis: Redis;
  readonly log: Logger;
  /** @param feed - how far the source has been followed */
  route(source: string, orthanc: OrthancClient, orthancStudyId: string, feed: FeedState): Promise<SafeOutcome>;
  /** @returns whether any rule begins before a study is stable */
  came(source: string, orthanc: OrthancClient, came: Came, feed: FeedState): boolean;
}

interface StudyPath {
  readonly source: string;
  readonly study: string;
}

const maxConnections = 200;
/** How long a feed position that was read is used for announced instances. */
const believedMs = 3_000;
const orthancId = /^[0-9a-f]{8}(-[0-9a-f]{8}){4}$/;
const ids = z.array(z.string().regex(orthancId)).max(300).default([]);
/** A body with 300 of each is within the body limit. */
const arrivals = z.object({ instances: ids, series: ids });

/**
 * The server for the plugin inside Orthanc: it announces stable studies, shows their state and routes them again. Each
 * source has its own secret. A push only saves time: the feed and the sweep find what it misses.
 *
 * @returns undefined if no source has a secret
 */
export async function startPushServer(dependencies: PushDependencies): Promise<{ stop(): Promise<void> } | undefined> {
  const { config, redis, log } = dependencies;
  if (!Object.values(config.sources).some(({ pushSecret }) => pushSecret)) return undefined;
  const operations = openPipeline(config, redis);
  const clients = new Map<string, Promise<OrthancClient>>();
  const feeds = new Map<string, { readonly feed: FeedState; readonly readAt: number }>();
  const server = createServer(config.push);
  const refusals = new LogSparingly();

  server.setErrorHandler((error, _request, reply) => {
    const status =
      error instanceof OperationError
        ? error.code === 'not-found'
          ? 404
          : 409
        : error instanceof RedisLost
          ? 503
          : error instanceof DispatchError
            ? error.code === 'source-gone'
              ? 404
              : 503
            : 500;
    if (status === 500) log.error({ err: error }, 'a push failed');
    return reply.code(status).send({ error: status === 500 ? 'internal error' : (error as Error).message });
  });
  server.addHook('onRequest', async (request, reply) => {
    const { source = '', study } = request.params as Partial<StudyPath>;
    if (!isAuthorized(request, config.sources[source]?.pushSecret?.reveal())) {
      const known = config.sources[source] !== undefined;
      const more = refusals.admit(`${request.ip} ${known ? source : ''}`);
      if (more !== undefined) {
        // The name of an unknown source may be any text.
        log.warn({ ...(known && { source }), address: request.ip, more }, 'a push with a wrong secret was rejected');
      }
      return reply
        .code(401)
        .header('connection', 'close')
        .send({ error: 'wrong source or secret: set DicomDispatch.Secret to the pushSecret of this source' });
    }
    if (study !== undefined && !orthancId.test(study))
      return reply.code(400).send({ error: 'not the identifier of a study in Orthanc' });
    return undefined;
  });

  server.post<{ Params: StudyPath }>('/sources/:source/studies/:study/stable', async ({ params }) => {
    const { source, study } = params;
    const feed = await followed(source);
    return { outcome: await dependencies.route(source, await client(source), study, feed) };
  });
  server.post<{ Params: Pick<StudyPath, 'source'> }>('/sources/:source/arrivals', async ({ params, body }, reply) => {
    const came = arrivals.safeParse(body);
    if (!came.success) return reply.code(400).send({ error: 'wanted: { instances: [ID …], series: [ID …] }' });
    const { source } = params;
    const feed = await followedLately(source);
    return { wanted: dependencies.came(source, await client(source), came.data, feed) };
  });
  server.get<{ Params: StudyPath }>('/sources/:source/studies/:study', async ({ params }) => {
    const orthanc = await client(params.source);
    await orthanc.study(params.study);
    const key = { source: params.source, orthancStudyId: params.study };
    const deliveries = await operations.records.deliveriesOf(key);
    return {
      routed: (await operations.records.study(key)) !== undefined,
      deliveries: deliveries.map(
        ({ target, state, stage, confirmed, quarantined, total, attempts, error, routedAt, updatedAt }) => ({
          target,
          state,
          stage,
          confirmed,
          quarantined,
          total,
          attempts,
          ...(error && { error: { code: error.code, message: error.message, remedy: error.remedy } }),
          routedAt,
          updatedAt,
        }),
      ),
    };
  });
  server.post<{ Params: StudyPath }>('/sources/:source/studies/:study/route', async ({ params }) => {
    const orthanc = await client(params.source);
    const request = { source: params.source, orthancStudyId: params.study };
    const { added } = await routeAgain(operations, request, orthanc, { name: 'Orthanc plugin' });
    return { deliveries: added.map(({ target, deliveryId }) => ({ target, deliveryId })) };
  });

  const { host, port } = parseListen(config.push.listen);
  const url = await server.listen({ host, port });
  log.info(
    { url, loopback: isLoopback(host), tls: config.push.tls !== undefined },
    'push server for the plugin started',
  );
  if (!isLoopback(host) && !config.push.tls)
    log.warn({ url }, 'push secrets are sent unencrypted: configure push.tls, or keep this network closed');
  return {
    async stop() {
      await server.close();
      await operations.close();
      await Promise.allSettled([...clients.values()].map(async (opened) => (await opened).close()));
    },
  };

  /** Position in the feed of a source. @throws the error that prevents following it */
  async function followed(source: string): Promise<FeedState> {
    const { prefix } = config.redis;
    if (!config.sources[source]?.enabled)
      throw new OperationError(
        'conflict',
        `the source ${source} is disabled: its studies are routed when it is enabled`,
      );
    const [feed, status] = await Promise.all([
      readFeedState(redis, prefix, source),
      readSourceStatus(redis, prefix, source),
    ]);
    if (status?.sameAs !== undefined) {
      throw new OperationError('conflict', `the source uses the same database as ${status.sameAs}: it is not followed`);
    }
    // The start of its feed decides what is routed; until a router has determined it, the feed contains the study.
    if (!feed) throw new DispatchError('source-unreachable', 'the source is not followed yet');
    return feed;
  }

  /** Like `followed`, but a few seconds old at most: instances are announced several times a second. */
  async function followedLately(source: string): Promise<FeedState> {
    const known = feeds.get(source);
    if (known && performance.now() - known.readAt < believedMs) return known.feed;
    const feed = await followed(source);
    feeds.set(source, { feed, readAt: performance.now() });
    return feed;
  }

  function client(name: string): Promise<OrthancClient> {
    const known = clients.get(name);
    if (known) return known;
    const source = config.sources[name];
    if (!source) throw new OperationError('not-found', `there is no source "${name}"`);
    const opened = openSource(source);
    clients.set(name, opened);
    opened.catch(() => clients.delete(name));
    return opened;
  }
}

function createServer({ tls }: Config['push']): FastifyInstance {
  const options = {
    logger: false,
    bodyLimit: 32 * 1024,
    forceCloseConnections: true,
    requestTimeout: 10_000,
    routerOptions: { maxParamLength: 100 },
  } as const;
  const server = tls
    ? // One type for both: what differs is the socket, which is not used here.
      (fastify({
        ...options,
        https: {
          cert: readTlsFile('push.tls.cert', tls.cert),
          key: readTlsFile('push.tls.key', tls.key),
          ...(tls.passphrase && { passphrase: tls.passphrase.reveal() }),
        },
      }) as unknown as FastifyInstance)
    : fastify(options);
  server.server.maxConnections = maxConnections;
  return server;
}

function readTlsFile(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new DispatchError('config-invalid', `${option}: the file ${path} cannot be read (${code ?? 'unknown'})`, {
      cause: error,
    });
  }
}

function isAuthorized(request: FastifyRequest, secret: string | undefined): boolean {
  const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (secret === undefined || given === undefined) return false;
  // Of equal length for any input, as the comparison requires.
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(secret));
}

import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import { parseConfig, Secret, type Config, type TargetSchema } from '@dicom-dispatch/core';
import { startDispatcher } from '@dicom-dispatch/dispatcher';
import { startOrthanc, startRedis, waitFor, type OrthancServer, type RedisServer } from '@dicom-dispatch/harness';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import { startRouter } from '@dicom-dispatch/router';
import { connectRedis, createLogger, createMetrics, type Redis, type RunningService } from '@dicom-dispatch/runtime';
import { makeStudy, studyUid, type StudyOptions } from '@dicom-dispatch/samples';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';

/** One Orthanc and one Redis for all tests of a file; each test has its own routers, dispatchers and keys. */
export interface RoutingSystem extends AsyncDisposable {
  readonly orthanc: OrthancServer;
  readonly client: OrthancClient;
  readonly redis: RedisServer;
  /** Starts a router and a dispatcher in this process. */
  start(raw: RawConfig, services?: readonly ('router' | 'dispatcher')[]): Promise<RunningRouting>;
  /** Uploads a study; `into` puts its series into the study of another seed. */
  upload(options: StudyOptions & { readonly seed: string; readonly into?: string }): Promise<UploadedStudy>;
}

export interface UploadedStudy {
  readonly studyInstanceUid: string;
  readonly orthancStudyId: string;
  readonly sopInstanceUids: readonly string[];
  readonly instanceIds: readonly string[];
}

export type RawConfig = Readonly<Record<string, unknown>> & { readonly targets: Readonly<Record<string, object>> };

export interface RunningRouting extends AsyncDisposable {
  readonly config: Config;
  readonly operations: PipelineContext;
  readonly connection: Redis;
  readonly services: readonly RunningService[];
  reload(raw: RawConfig): Promise<void>;
  /** Stops a service and starts it again. */
  restart(name: 'router' | 'dispatcher'): Promise<void>;
  deliveries(study: Pick<UploadedStudy, 'studyInstanceUid'>, source?: string): Promise<DeliveryRecord[]>;
  /** The delivery to a target once it is in one of the states. */
  until(
    study: Pick<UploadedStudy, 'studyInstanceUid'>,
    target: string,
    state: DeliveryRecord['state'] | 'any',
    source?: string,
  ): Promise<DeliveryRecord>;
}

let count = 0;

export async function startRoutingSystem(options: Parameters<typeof startOrthanc>[0] = {}): Promise<RoutingSystem> {
  const [orthanc, redis] = await Promise.all([startOrthanc(options), startRedis()]);
  const client = createOrthancClient({ url: orthanc.url });
  return {
    orthanc,
    client,
    redis,
    start: (raw, services = ['router', 'dispatcher']) => start(orthanc, redis, raw, services),
    async upload({ into, ...study }) {
      const owner = into === undefined ? undefined : makeStudy({ seed: into });
      const attributes = owner
        ? { StudyInstanceUID: studyUid(into ?? ''), PatientID: owner.patientId, AccessionNumber: owner.accessionNumber }
        : {};
      const made = makeStudy({ rows: 16, columns: 16, ...study, attributes: { ...attributes, ...study.attributes } });
      const sopInstanceUids: string[] = [];
      const instanceIds: string[] = [];
      let orthancStudyId = '';
      for (const instance of made) {
        const stored = await orthanc.upload(instance.bytes);
        orthancStudyId = stored.ParentStudy;
        instanceIds.push(stored.ID);
        sopInstanceUids.push(instance.sopInstanceUid);
      }
      return { studyInstanceUid: made.studyInstanceUid, orthancStudyId, sopInstanceUids, instanceIds };
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      await Promise.all([orthanc.stop(), redis.stop()]);
    },
  };
}

export function parse(raw: unknown): Config {
  const parsed = parseConfig(raw, Object.values(targetSchemas) as unknown as TargetSchema[]);
  if (!parsed.ok)
    throw new Error(parsed.problems.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
  return parsed.config;
}

async function start(
  orthanc: OrthancServer,
  server: RedisServer,
  raw: RawConfig,
  names: readonly ('router' | 'dispatcher')[],
): Promise<RunningRouting> {
  count += 1;
  const prefix = `{t${process.pid}-${count}}`;
  const complete = (given: RawConfig): Config =>
    parse({
      sources: { main: { url: orthanc.url, pollInterval: '100ms' } },
      redis: { url: server.url, prefix },
      pseudonyms: { secret: new Secret('a key for tests') },
      rules: [{ name: 'all', targets: Object.keys(given.targets) }],
      ...given,
    });
  let config = complete(raw);
  const log = createLogger('test', {
    level: (process.env['TEST_LOG'] as 'info' | undefined) ?? 'fatal',
    format: 'json',
  });
  const connection = connectRedis(server.url, 'test', log);
  const starters = { router: startRouter, dispatcher: startDispatcher } as const;
  const services: RunningService[] = [];
  const startOne = (name: (typeof names)[number]): Promise<RunningService> =>
    starters[name]({ config, redis: connection, log, metrics: createMetrics() });
  for (const name of names) services.push(await startOne(name));
  const operations = openPipeline(() => config, connection);
  if (names.includes('router')) {
    await waitFor(
      async () => {
        const states = await Promise.all(
          Object.keys(config.sources).map((name) => connection.get(`${config.redis.prefix}:feed:${name}`)),
        );
        return states.every((state) => state !== null);
      },
      { message: 'the feeds are followed' },
    );
  }
  return {
    get config() {
      return config;
    },
    operations,
    connection,
    services,
    async reload(next) {
      const parsed = complete(next);
      for (const service of services) await service.reload?.(parsed);
      config = parsed;
    },
    async restart(name) {
      const at = services.findIndex((service) => service.name === name);
      await services[at]?.stop();
      services[at] = await startOne(name);
    },
    deliveries: ({ studyInstanceUid }, source = 'main') => operations.records.deliveriesOfUid(studyInstanceUid, source),
    async until({ studyInstanceUid }, target, state, source = 'main') {
      let seen: DeliveryRecord[] = [];
      return waitFor(
        async () => {
          seen = await operations.records.deliveriesOfUid(studyInstanceUid, source);
          return seen.find((one) => one.target === target && (state === 'any' || one.state === state));
        },
        {
          message: () =>
            `${target} ${state}; seen ${JSON.stringify(seen.map((one) => [one.target, one.state, one.error]))}`,
        },
      );
    },
    async [Symbol.asyncDispose]() {
      for (const service of services.reverse()) await service.stop();
      await operations.close();
      connection.disconnect();
    },
  };
}

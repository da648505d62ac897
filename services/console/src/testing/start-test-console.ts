import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseConfig, Secret, type Config, type TargetSchema } from '@dicom-dispatch/core';
import { startRedis, tempFolder, type RedisServer } from '@dicom-dispatch/harness';
import { openPipeline, planByName, StudyEnqueuer, type PipelineContext } from '@dicom-dispatch/pipeline';
import {
  connectRedis,
  createLogger,
  createMetrics,
  openFileStore,
  type ConfigurationStore,
  type Redis,
} from '@dicom-dispatch/runtime';
import { adoptTarget, isExternal } from '@dicom-dispatch/targets';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { startConsole, type RunningConsole } from '../start-console.ts';

export interface TestConsole extends AsyncDisposable {
  readonly console: RunningConsole;
  readonly url: string;
  readonly config: Config;
  readonly redis: Redis;
  readonly server: RedisServer;
  readonly operations: PipelineContext;
  /** Store of the configuration file; undefined without one. */
  readonly store: ConfigurationStore | undefined;
  /** Routes a separate study to both targets, like the router; returns the ids of its deliveries by target. */
  route(options?: RouteOptions): Promise<{ studyInstanceUid: string; a: string; b: string }>;
  /** Sends a request with a JSON body. */
  ask(
    method: string,
    path: string,
    options?: { body?: unknown; headers?: Record<string, string> },
  ): Promise<{ status: number; headers: Headers; body: unknown; text: string }>;
}

export interface TestConsoleOptions {
  readonly console?: Record<string, unknown>;
  readonly sourceUrl?: string;
  /** Default true. */
  readonly sourceEnabled?: boolean;
  readonly records?: Record<string, unknown>;
  readonly targets?: Record<string, unknown>;
  readonly rules?: readonly Record<string, unknown>[];
  /** Text of a configuration file that the console can change; no service is running that would apply it. */
  readonly file?: string;
  /** Environment variables that the file may refer to. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RouteOptions {
  readonly studyInstanceUid?: string;
  readonly orthancStudyId?: string;
  readonly instances?: number;
  readonly rules?: readonly string[];
  readonly modalities?: readonly string[];
  /** Tags of the study by keyword. */
  readonly tags?: Record<string, string>;
}

export const testToken = {
  viewer: 'viewer-token-0123456789abcdef',
  operator: 'operator-token-0123456789abcdef',
  editor: 'editor-token-0123456789abcdef',
  administrator: 'administrator-token-0123456789',
} as const;

/** The password of a user of {@link signIn}. */
export function passwordOf(name: string): string {
  return `${name} has a bicycle`;
}

/** Options for the sign-in: one user and one token for each role. */
export const signIn = {
  users: {
    vera: { password: new Secret(passwordOf('vera')), role: 'viewer' },
    otto: { password: new Secret(passwordOf('otto')), role: 'operator' },
    edda: { password: new Secret(passwordOf('edda')), role: 'editor' },
    ada: { password: new Secret(passwordOf('ada')), role: 'administrator' },
  },
  tokens: {
    viewer: { token: new Secret(testToken.viewer), role: 'viewer' },
    operator: { token: new Secret(testToken.operator), role: 'operator' },
    editor: { token: new Secret(testToken.editor), role: 'editor' },
    administrator: { token: new Secret(testToken.administrator), role: 'administrator' },
  },
};

/** A console with a separate Redis and two dummy targets, `a` and `b`; without `console` no sign-in is needed. */
export async function startTestConsole(testOptions: TestConsoleOptions = {}): Promise<TestConsole> {
  const server = await startRedis({ appendonly: false });
  const config = testConfig(testOptions);
  const log = createLogger('console', { level: 'fatal', format: 'json' });
  const redis = connectRedis(server.url, 'test', log);
  const folder = await tempFolder('console');
  const configuration =
    testOptions.file === undefined ? undefined : await storeOf(folder.path, testOptions.file, testOptions.env);
  const console = await startConsole({
    config,
    redis,
    log,
    metrics: createMetrics(),
    ...(configuration && { configuration }),
  });
  const operations = openPipeline(config, redis);
  const enqueuer = new StudyEnqueuer(config, redis, operations.records);
  let count = 0;
  return {
    console,
    url: console.url,
    config,
    redis,
    server,
    operations,
    store: configuration,
    async route(options = {}) {
      count += 1;
      const studyInstanceUid = options.studyInstanceUid ?? `1.2.826.0.1.${count}`;
      const { added } = await enqueuer.enqueue({
        source: 'main',
        epoch: 'epoch-1',
        study: {
          orthancStudyId: options.orthancStudyId ?? `orthanc-${count}`,
          studyInstanceUid,
          facts: { source: 'main', study: { ModalitiesInStudy: options.modalities ?? ['CT'] }, series: [], origin: {} },
          tags: { studyInstanceUid, study: options.tags ?? {}, series: new Map() },
          lastUpdate: undefined,
        } as never,
        manifest: Array.from({ length: options.instances ?? 3 }, (_, index) => ({
          sopInstanceUid: `${studyInstanceUid}.1.${index + 1}`,
          seriesInstanceUid: `${studyInstanceUid}.1`,
          studyInstanceUid,
          sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
          transferSyntaxUid: '1.2.840.10008.1.2.1',
          instanceNumber: index + 1,
          sizeBytes: 1000,
          sourceId: `i-${index}`,
          version: '1',
        })),
        rules: options.rules ?? ['everything'],
        deliveries: planByName(config, ['a', 'b'], { rules: options.rules ?? ['everything'], priority: 'normal' }),
      });
      const id = (target: string): string => added.find((one) => one.target === target)?.deliveryId ?? '';
      return { studyInstanceUid, a: id('a'), b: id('b') };
    },
    async ask(method, path, { body, headers = {} } = {}) {
      const answer = await fetch(new URL(path, console.url), {
        method,
        redirect: 'manual',
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const isJson = (answer.headers.get('content-type') ?? '').includes('json');
      return {
        status: answer.status,
        headers: answer.headers,
        text,
        body: isJson && text !== '' ? JSON.parse(text) : text,
      };
    },
    async [Symbol.asyncDispose]() {
      await console.stop();
      await enqueuer.close();
      await operations.close();
      redis.disconnect();
      await server.stop();
      await folder.remove();
    },
  };
}

async function storeOf(folder: string, text: string, env: TestConsoleOptions['env'] = {}): Promise<ConfigurationStore> {
  const path = join(folder, 'dispatch.yaml');
  await writeFile(path, text);
  const options = {
    targetSchemas: Object.values(targetSchemas) as unknown as TargetSchema[],
    env,
    external: { accepts: isExternal, adopt: adoptTarget },
  };
  const store = openFileStore(path, options);
  await store.versions.add({ text, author: 'the file', reason: 'as it was at the start' });
  return store;
}

export function testConfig(testOptions: TestConsoleOptions = {}): Config {
  const parsed = parseConfig(
    {
      sources: {
        main: { url: testOptions.sourceUrl ?? 'http://127.0.0.1:1', enabled: testOptions.sourceEnabled ?? true },
      },
      targets: testOptions.targets ?? {
        a: { type: 'dummy', description: 'the first target' },
        b: { type: 'dummy', attempts: 3 },
      },
      rules: testOptions.rules ?? [
        { name: 'everything', targets: ['a', 'b'] },
        { name: 'mr-only', when: "'MR' in study.ModalitiesInStudy", targets: ['b'] },
      ],
      ...(testOptions.records && { records: testOptions.records }),
      console: { listen: '127.0.0.1:0', ...testOptions.console },
    },
    Object.values(targetSchemas),
  );
  if (!parsed.ok)
    throw new Error(parsed.problems.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
  return parsed.config;
}

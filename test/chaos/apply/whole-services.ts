import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, startRedis, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { Redis } from 'ioredis';
import { parse, stringify } from 'yaml';
import { programFile } from '../../e2e/support/programs.ts';
import { compileCache } from '../../e2e/support/run-commands.ts';
import { seededRandom } from '../random.ts';
import type { ApplyScene, ApplyVerdict } from './run-applies.ts';

const child = programFile('service-process', join(import.meta.dirname, 'service-process.ts'));
const names = ['router', 'dispatcher', 'console'] as const;
type Name = (typeof names)[number];
/** The killed process. The console applies the change. */
const victims = {
  console: ['console'],
  router: ['router'],
  dispatcher: ['dispatcher'],
  'router and dispatcher': ['router', 'dispatcher'],
  all: names,
  nobody: [],
} as const satisfies Record<string, readonly Name[]>;
const victimNames = Object.keys(victims) as (keyof typeof victims)[];

const keys = redisKeys('{dicom-dispatch}');
const token = 'whole-services-0123456789';

/** Router, dispatcher and console as they are, each a process, on a real Redis; changes are applied over the API of the console. */
export async function startWholeScene(): Promise<ApplyScene> {
  const [server, folder, ...ports] = await Promise.all([
    startRedis({ appendonly: false }),
    tempFolder('apply'),
    ...names.map(() => freePort()),
  ]);
  const redis = new Redis(server.url);
  const path = join(folder.path, 'dispatch.yaml');
  const [router, dispatcher, console] = ports.map((port) => `127.0.0.1:${port}`);
  const textOf = (description: string): string =>
    stringify({
      sources: { main: { url: 'http://127.0.0.1:1' } },
      targets: { a: { type: 'dummy', description } },
      rules: [{ name: 'all', targets: ['a'] }],
      redis: { url: server.url },
      logging: { level: 'error', format: 'json' },
      health: { router, dispatcher },
      console: { listen: console, tokens: { chaos: { role: 'administrator', token: { file: 'token' } } } },
    });
  await writeFile(join(folder.path, 'token'), token);
  await writeFile(path, textOf('version 1'));
  let version = 1;
  const running = new Map<Name, ChildProcess>();
  const start = (name: Name): void => {
    const process_ = fork(child, [name, path], {
      cwd: folder.path,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: ['--disable-warning=ExperimentalWarning'],
      env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
    });
    running.set(name, process_);
  };
  const fileNow = async (): Promise<string> =>
    (parse(await readFile(path, 'utf8')) as { targets: { a: { description: string } } }).targets.a.description;
  const ask = async (method: string, act: string, body?: unknown): Promise<Record<string, unknown>> => {
    const answer = await fetch(`http://${console}/api/configuration${act}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, ...((await answer.json()) as object) };
  };

  names.forEach(start);
  await untilWhole();
  return {
    async run(seed) {
      const random = seededRandom(seed);
      const victim = victimNames[Math.floor(random() * victimNames.length)] ?? 'nobody';
      const afterMs = Math.floor(random() * random() * 600);
      const former = await fileNow();
      const next = `version ${(version += 1)}`;
      const { seen } = await prepare(textOf(next));
      const ended = ask('POST', '/draft/apply', { seen, reason: 'chaos' }).then(
        ({ status }) => (status === 200 ? 'applied' : 'refused'),
        () => undefined,
      );
      await sleep(afterMs);
      await Promise.all(victims[victim].map((name) => kill(running.get(name))));
      const outcome = await ended;
      for (const name of victims[victim]) start(name);
      // A minute later: until then, another change is rejected because one is being applied.
      if (victims[victim].some((name) => name === 'console')) await redis.del(keys.configurationLock);
      await untilWhole();
      let states: readonly string[] = [];
      let file = '';
      await waitFor(
        async () => {
          file = await fileNow();
          states = (await answersNow()).map((one) => (one === 'unchanged' ? file : `another (${one})`));
          return states.length === names.length && states.every((one) => one === file);
        },
        { message: 'all services go by the file' },
      ).catch(() => {});
      return { victim, afterMs, outcome, services: states, file, former, next } satisfies ApplyVerdict;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...running.values()].map((one) => kill(one)));
      redis.disconnect();
      await server.stop();
      await folder.remove();
    },
  };

  /** Sets the text of the draft; the rest of an earlier change is discarded. */
  async function prepare(text: string): Promise<{ readonly seen: unknown }> {
    const { status, seen: old } = await ask('GET', '/draft');
    if (status === 200) await ask('POST', '/draft/discard', { seen: old });
    const { digest } = await ask('GET', '');
    const { seen } = await ask('PUT', '/draft', { text, seen: digest });
    return { seen };
  }

  /** All three listen for calls, and the console responds. */
  async function untilWhole(): Promise<void> {
    await waitFor(
      async () =>
        Number((await redis.pubsub('NUMSUB', keys.reloadChannel))[1]) === names.length &&
        (await ask('GET', '').catch(() => undefined))?.['status'] === 200,
      { message: 'router, dispatcher and console run' },
    );
  }

  /** Result of each process for the file, without applying it: `unchanged` if it uses it. */
  async function answersNow(): Promise<string[]> {
    const id = Math.floor(Math.random() * 2 ** 48).toString(16);
    const call = (step: string): Promise<number> => redis.publish(keys.reloadChannel, JSON.stringify({ id, step }));
    const called = await call('check');
    let answers: string[] = [];
    await waitFor(
      async () => {
        answers = Object.values(await redis.hgetall(keys.reloadAnswers(id, 'check')));
        return answers.length >= called;
      },
      { message: 'all processes answer' },
    );
    await call('forget');
    return answers.map((text) => (JSON.parse(text) as { outcome: string }).outcome);
  }
}

async function kill(one: ChildProcess | undefined): Promise<void> {
  if (!one || one.exitCode !== null || one.signalCode !== null) return;
  const gone = once(one, 'exit');
  one.kill('SIGKILL');
  await gone;
}

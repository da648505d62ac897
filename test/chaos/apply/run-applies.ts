import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis, tempFolder, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { Redis } from 'ioredis';
import { programFile } from '../../e2e/support/programs.ts';
import { compileCache } from '../../e2e/support/run-commands.ts';
import { seededRandom } from '../random.ts';

const child = programFile('apply-process', join(import.meta.dirname, 'apply-process.ts'));
const victims = ['applier', 'service', 'other service', 'both services', 'nobody'] as const;

export interface ApplyVerdict {
  readonly victim: string;
  /** Time of the kill, in milliseconds after the apply began. */
  readonly afterMs: number;
  /** The applier's result; undefined if it was killed before. */
  readonly outcome: string | undefined;
  /** The version that each service uses in the end, and that of the file. */
  readonly services: readonly string[];
  readonly file: string;
  readonly former: string;
  readonly next: string;
}

export interface ApplyScene extends AsyncDisposable {
  /** Applies a new version, and kills a process meanwhile. */
  run(seed: number): Promise<ApplyVerdict>;
}

/** Two services and an applier as separate processes, on a real Redis. */
export async function startApplyScene(): Promise<ApplyScene> {
  const [server, folder] = await Promise.all([startRedis({ appendonly: false }), tempFolder('apply')]);
  const redis = new Redis(server.url);
  const path = join(folder.path, 'dispatch.yaml');
  let version = 1;
  await writeFile(path, textOf('version 1'));
  const start = (role: 'service' | 'applier'): Promise<ChildProcess> => startProcess(role, server, path);
  const services = await Promise.all([start('service'), start('service')]);
  let applier = await start('applier');

  return {
    async run(seed) {
      const random = seededRandom(seed);
      const victim = victims[Math.floor(random() * victims.length)] ?? 'nobody';
      // Most applies take about 100 ms; a few kills happen after the end.
      const afterMs = Math.floor(random() * random() * 400);
      const former = descriptionOf(await readFile(path, 'utf8'));
      const next = `version ${(version += 1)}`;
      const begun = message(applier);
      applier.send(textOf(next));
      await begun;
      const ended = Promise.race([message(applier), once(applier, 'exit').then(() => undefined)]);
      await sleep(afterMs);
      if (victim === 'applier') await kill(applier);
      await Promise.all(
        services.map(async (service, index) => {
          if (victim !== 'both services' && victim !== (['service', 'other service'] as const)[index]) return;
          await kill(service);
          services[index] = await start('service');
        }),
      );
      const outcome = (await ended) as string | undefined;
      if (victim === 'applier') {
        applier = await start('applier');
        // A minute later: until then, another change is rejected because one is being applied.
        await redis.del(redisKeys('{dicom-dispatch}').configurationLock);
      }
      let states: string[] = [];
      let file = '';
      await waitFor(
        async () => {
          states = await Promise.all(services.map((service) => ask(service)));
          file = descriptionOf(await readFile(path, 'utf8'));
          return states.every((one) => one === file);
        },
        { message: 'all services go by the file' },
      ).catch(() => {});
      return { victim, afterMs, outcome, services: states, file, former, next };
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      await Promise.all([...services, applier].map((one) => kill(one)));
      await server.stop();
      await folder.remove();
    },
  };
}

/** Why a verdict is bad; undefined for a good one. */
export function badVerdict({ services, file, former, next, outcome }: ApplyVerdict): string | undefined {
  if (file !== former && file !== next) return `the file says ${file}`;
  if (services.some((one) => one !== file)) return `services go by ${services.join(', ')}, the file says ${file}`;
  if (outcome === 'applied' && file !== next) return 'it was said to be applied, and is not';
  if ((outcome === 'refused' || outcome === 'undone') && file !== former)
    return `it was said to be ${outcome}, and is in use`;
  return undefined;
}

function textOf(description: string): string {
  return `sources: { main: { url: 'http://127.0.0.1:1' } }\ntargets:\n  a: { type: dummy, description: ${description} }\n`;
}

function descriptionOf(text: string): string {
  return /description: (.*) \}/.exec(text)?.[1] ?? text;
}

async function startProcess(role: string, server: RedisServer, path: string): Promise<ChildProcess> {
  const made = fork(child, [role, server.url, path], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
  });
  await message(made);
  return made;
}

async function message(from: ChildProcess): Promise<unknown> {
  const [text] = (await once(from, 'message')) as [unknown];
  return text;
}

async function ask(service: ChildProcess): Promise<string> {
  const answer = message(service);
  service.send('which');
  return String(await answer);
}

async function kill(one: ChildProcess): Promise<void> {
  if (one.exitCode !== null || one.signalCode !== null) return;
  const gone = once(one, 'exit');
  one.kill('SIGKILL');
  await gone;
}

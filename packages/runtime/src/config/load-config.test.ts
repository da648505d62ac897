import { ConfigError } from './config-error.ts';
import { targetOptions, type TargetSchema } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { checkConfig, loadConfig } from './load-config.ts';

const net = z.strictObject({ type: z.literal('net'), ...targetOptions, host: z.string(), timeout: z.int().default(5) });
const options = { targetSchemas: [net] as unknown as TargetSchema[], env: {} };
const file = `x-common: &common { attempts: 3, timeout: 7 }
x-slow: &slow { timeout: 60, description: slow }
x-unused: \${NOBODY_SETS_THIS}
sources: { main: { url: 'http://127.0.0.1:1' } }
targetDefaults:
  net: { concurrency: 5 }
targets:
  a:
    <<: *common
    type: net
    host: a
  b:
    <<: [*slow, *common]
    type: net
    host: b
    attempts: 4
`;

it('supports merge keys and x- keys, and resolves nothing in ignored parts', async () => {
  const { targets } = await checkConfig('dispatch.yaml', file, options);
  expect(targets['a']).toMatchObject({ attempts: 3, timeout: 7, concurrency: 5 });
  expect(targets['b']).toMatchObject({ attempts: 4, timeout: 60, description: 'slow' });
});

it('replaces references inside of a text, and leaves other braces as they are', async () => {
  const withEnv = { ...options, env: { HOST: 'h' } };
  const others = '^a${2,3}$ ${} ${x y} ${a.b} $HOST ${1}';
  const text = file.replace('description: slow', `description: '\${HOST}: ${others}'`);
  expect((await checkConfig('dispatch.yaml', text, withEnv)).targets['b']).toMatchObject({
    description: `h: ${others}`,
  });
  for (const shell of ['${HOST:-a}', '${HOST-a}', '${HOST:?not set}']) {
    const rejected = checkConfig(
      'dispatch.yaml',
      file.replace('description: slow', `description: 'x ${shell}'`),
      withEnv,
    );
    const message = expect.stringContaining(`${shell} is not a reference: write \${NAME}`) as unknown;
    await expect(rejected).rejects.toMatchObject({ problems: [{ message }] });
  }
});

it('names the line of what is wrong in targetDefaults, and of a target that merges something wrong', async () => {
  const wrong = file.replace('concurrency: 5', 'concurrency: 0').replace('attempts: 3', 'attempts: many');
  const error = await checkConfig('dispatch.yaml', wrong, options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConfigError)) throw error;
  expect(error.problems.map(({ line, path }) => `${line} ${path.join('.')}`)).toEqual([
    '6 targetDefaults.net.concurrency',
    '8 targets.a.attempts',
  ]);
});

it('reports for a missing candidate what the processes must share', async () => {
  const candidate = { ...options, candidate: '0123456789abcdef' };
  const error = await loadConfig(import.meta.filename, candidate).catch((thrown: unknown) => thrown);
  expect((error as ConfigError).format()).toMatch(
    /another configuration file than the console.* if the change is one to `configuration: redis`, stop this process first/,
  );
});

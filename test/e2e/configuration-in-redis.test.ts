import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder, waitFor, type TempFolder } from '@dicom-dispatch/harness';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { runCli } from './support/run-cli.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';
import { prefix, startSystem, type System, type UploadedStudy } from './support/system.ts';
import { untilNoted } from './support/until-noted.ts';

/** Two hosts (two folders) with one configuration in Redis: all services on one, a dispatcher on the other. */

const token = 'two-hosts-0123456789abcdef';
const keys = redisKeys(prefix);

let system: System;
let shared: TempFolder;
let a: RunningDispatch;
let b: RunningDispatch;
let delivered: UploadedStudy;
beforeAll(async () => {
  [system, shared] = await Promise.all([startSystem(), tempFolder('two-hosts')]);
  const redis = { url: system.redis.url };
  const ofHost = { configuration: 'redis', redis };
  const console = { tokens: { script: { role: 'administrator', token: { file: join(shared.path, 'token') } } } };
  const whole = stringify(system.config({ first: { type: 'dummy' } }, { console }));
  await Promise.all([
    writeFile(join(shared.path, 'token'), token),
    writeFile(join(shared.path, 'dispatch.yaml'), stringify(ofHost)),
    writeFile(join(shared.path, 'all-hosts.yaml'), `# of all hosts\n${whole}`),
  ]);
  const imported = await runCli(shared.path, 'config', 'import', 'all-hosts.yaml');
  expect(imported, imported.err).toMatchObject({ code: 0, out: expect.stringContaining('Version 1 is in place') });
  const env = { DICOM_DISPATCH_KEY_FILE: join(shared.path, 'dispatch.yaml.key') };
  [a, b] = await Promise.all([
    startDispatch({ config: ofHost, env }),
    startDispatch({ command: 'dispatcher', config: ofHost, env, untilReady: false }),
  ]);
  await ready(b);
});
afterAll(async () => {
  await Promise.all([a?.stop(), b?.stop()]);
  await Promise.all([system?.[Symbol.asyncDispose](), shared?.remove()]);
});

async function ready(service: RunningDispatch): Promise<void> {
  await waitFor(async () => (await service.get('/readyz')).status === 200, {
    message: () => service.output(),
  });
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(`${a.url}/api/configuration${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

/** Number of the version in Redis. */
const version = (): Promise<string | null> => system.client.hget(keys.configuration, 'number');

describe('two hosts with one configuration in Redis', () => {
  it('both take a change over that is made in the console, and deliver by it', async () => {
    const added = await ask('PUT', '/targets/second', { type: 'dummy', values: {} });
    const rule = await ask('PUT', '/rules/all', { was: 'all', values: { targets: 'first\nsecond' } });
    expect([added.status, rule.status]).toEqual([200, 200]);
    const { seen } = (await ask('GET', '/draft')).body;
    const applied = await ask('POST', '/draft/apply', { seen, reason: 'a second one' });
    expect(applied).toMatchObject({
      status: 200,
      body: { version: 2, answered: 2, words: ['All services use version 2.'] },
    });
    delivered = await system.upload({ seed: 'in redis', instancesPerSeries: 1 });
    for (const target of ['first', 'second']) await system.untilDelivery(delivered, target, ['delivered']);
    expect(await readFile(a.configFile, 'utf8')).not.toContain('second');
    expect((await ask('GET', '')).body).toMatchObject({ file: 'configuration in Redis' });
    expect((await ask('GET', '/versions')).body).toMatchObject({
      versions: [{ number: 2, reason: 'a second one' }, { number: 1 }],
    });
  });

  it('no edit of the file on one host parts it from the other', async () => {
    const before = await readFile(b.configFile, 'utf8');
    await writeFile(b.configFile, `${before}targets: { other: { type: dummy } }\n`);
    const refused = await ask('POST', '/reload');
    await writeFile(b.configFile, before);
    expect(refused.status).toBe(400);
    expect(refused.body['message']).toContain('targets: is in Redis for all hosts');
    expect((await ask('POST', '/reload')).status).toBe(200);
  });

  it('it is restored into a Redis that has lost it, and all continue', async () => {
    await untilNoted(a, delivered, ['first delivered', 'second delivered']);
    await system.client.flushall();
    await waitFor(async () => (await version()) === '2', { message: () => a.output() });
    expect((await ask('GET', '/versions')).body).toMatchObject({ versions: [{ number: 2, reason: 'a second one' }] });
    await ready(a);
    const study = await system.upload({ seed: 'after the loss', instancesPerSeries: 1 });
    await system.untilDelivery(study, 'second', ['delivered']);
    expect(a.output(), 'Redis has answered at the start').not.toContain('starting with the configuration used last');
  });

  it('a host starts without Redis with its last version, and checks again when Redis responds', async () => {
    await Promise.all([b.kill('SIGKILL'), system.redis.kill('SIGKILL')]);
    await b.restart();
    expect((await b.get('/readyz')).status).toBe(503);
    await system.redis.restart();
    await Promise.all([ready(a), ready(b)]);
    expect(await version()).toBe('2');
  });
});

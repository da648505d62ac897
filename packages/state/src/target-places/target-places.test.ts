import type { TargetConfig } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeMove, TargetPlaces } from './index.ts';

let server: RedisServer;
let redis: Redis;
let places: TargetPlaces;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  places = new TargetPlaces(redis, '{places}');
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(() => redis.flushall());

function pacs(host: string, more: object = {}): TargetConfig {
  return { type: 'dicom', host, port: 104, calledAeTitle: 'PACS', ...more } as unknown as TargetConfig;
}

async function ledgerAt(config: TargetConfig): Promise<string> {
  const verdict = await places.register('pacs', config);
  return verdict.kind === 'known' ? verdict.ledger : verdict.kind;
}

test('the first place has the ledger of the target, and options without an address do not change it', async () => {
  expect(await ledgerAt(pacs('one'))).toBe('pacs');
  expect(await ledgerAt(pacs('ONE', { maxParallel: 7, type: 'dicom-tls', attempts: 3 }))).toBe('pacs');
  for (const other of [pacs('two'), pacs('one', { port: 105 }), pacs('one', { calledAeTitle: 'PACS2' })]) {
    expect(await ledgerAt(other)).toBe('undecided');
  }
});

test('an external target moves with any option that names an address, and with no other', async () => {
  const lab = (more: object): TargetConfig =>
    ({ type: 'package:lab', share: '/mnt/lab', aeTitle: 'LAB', depth: 3, ...more }) as unknown as TargetConfig;
  expect(await ledgerAt(lab({}))).toBe('pacs');
  expect(await ledgerAt(lab({ depth: 4 }))).toBe('pacs');
  for (const other of [{ share: '/mnt/other' }, { aeTitle: 'LAB2' }, { server: 'two' }, { directory: '/x' }]) {
    expect(await ledgerAt(lab(other))).toBe('undecided');
  }
});

test('an external target that was stored before more options named its address has not moved', async () => {
  const lab = { type: 'package:lab', address: 'one', share: '/mnt/lab', aeTitle: 'LAB' } as unknown as TargetConfig;
  const stored = {
    current: 'pacs',
    places: [{ id: 'eddfdb26ad7f3b67', facts: { type: 'package:lab', address: 'one' }, ledger: 'pacs', since: 1 }],
  };
  await redis.set('{places}:places:pacs', JSON.stringify(stored));
  expect(await ledgerAt({ ...lab, address: 'two' } as never)).toBe('undecided');
  expect(await ledgerAt(lab)).toBe('pacs');
  // From now on each option counts.
  expect((await places.known('pacs')).places).toMatchObject([
    { since: 1, facts: { address: 'one', share: '/mnt/lab' } },
  ]);
  expect(await ledgerAt(lab)).toBe('pacs');
  for (const other of [{ share: '/mnt/other' }, { server: 'two' }]) {
    expect(await ledgerAt({ ...lab, ...other } as never)).toBe('undecided');
  }
});

test('another place needs a decision, which is kept', async () => {
  expect(await places.register('pacs', pacs('one'))).toMatchObject({ kind: 'known', isNew: true });
  expect(await places.register('pacs', pacs('one'))).toMatchObject({ kind: 'known', isNew: false });
  expect(await places.register('pacs', pacs('two'))).toMatchObject({ kind: 'undecided', isNew: false });
  const verdict = await places.look('pacs', pacs('two'));
  if (verdict.kind !== 'undecided') throw new Error('it was decided');
  expect(describeMove('pacs', verdict)).toContain('pacs was dicom one:104 PACS and is now dicom two:104 PACS');
  expect(await places.decide('pacs', pacs('two'), 'new')).toBe('pacs~2');
  expect(await places.decide('pacs', pacs('two'), 'new')).toBeUndefined();
  expect(await ledgerAt(pacs('two'))).toBe('pacs~2');
  // A process that still has the previous configuration continues with its place.
  expect(await ledgerAt(pacs('one'))).toBe('pacs');
});

test('re-addressed twice and back: each place has its own ledger again', async () => {
  await ledgerAt(pacs('one'));
  await places.decide('pacs', pacs('two'), 'new');
  expect(await places.decide('pacs', pacs('three'), 'new')).toBe('pacs~3');
  expect(await places.register('pacs', pacs('one'))).toMatchObject({ ledger: 'pacs', isNew: true });
  expect(await ledgerAt(pacs('two'))).toBe('pacs~2');
  expect(await ledgerAt(pacs('four'))).toBe('undecided');
  expect((await places.ledgers('pacs')).sort()).toEqual(['pacs', 'pacs~2', 'pacs~3']);
});

test('contents that moved along are not at the former address any more: going back has to be decided on', async () => {
  await ledgerAt(pacs('one'));
  expect(await places.decide('pacs', pacs('two'), 'same')).toBe('pacs');
  expect(await ledgerAt(pacs('two'))).toBe('pacs');
  expect(await ledgerAt(pacs('one'))).toBe('undecided');
  expect(await places.decide('pacs', pacs('one'), 'new')).toBe('pacs~2');
  expect(await ledgerAt(pacs('two'))).toBe('pacs');
});

test('an identity in the configuration decides by itself', async () => {
  await ledgerAt(pacs('one'));
  // Identified at its current address, then moved.
  expect(await ledgerAt(pacs('one', { identity: 'archive' }))).toBe('pacs');
  expect(await ledgerAt(pacs('two', { identity: 'archive' }))).toBe('pacs');
  // Reinstalled at the same address.
  expect(await ledgerAt(pacs('two', { identity: 'archive-2027' }))).toBe('pacs~2');
  expect(await ledgerAt(pacs('two', { identity: 'archive' }))).toBe('pacs');
});

test('a first identity together with a new address proves nothing about the contents', async () => {
  await ledgerAt(pacs('one'));
  expect(await ledgerAt(pacs('two', { identity: 'archive' }))).toBe('undecided');
  expect(await places.decide('pacs', pacs('two', { identity: 'archive' }), 'same')).toBe('pacs');
  expect(await ledgerAt(pacs('three', { identity: 'archive' }))).toBe('pacs');
});

test('many processes that start together note one place', async () => {
  const others = Array.from({ length: 20 }, () => new TargetPlaces(redis, '{places}'));
  const verdicts = await Promise.all(others.map((one) => one.register('pacs', pacs('one'))));
  expect(verdicts.map((verdict) => verdict.kind === 'known' && verdict.ledger)).toEqual(Array(20).fill('pacs'));
  expect((await places.known('pacs')).places.length).toBe(1);
});

test('no secret is kept of an address', async () => {
  await places.register('web', {
    type: 'dicomweb',
    url: 'https://user:secret@web.example/dicom-web/?key=secret',
  } as never);
  expect(await redis.get('{places}:places:web')).not.toContain('secret');
});

test('a place that was lost alone is known all the same', async () => {
  await ledgerAt(pacs('one'));
  await places.decide('pacs', pacs('two'), 'new');
  const ledger = await ledgerAt(pacs('two'));
  await redis.del('{places}:places:pacs');
  expect(await ledgerAt(pacs('two'))).toBe(ledger);
  await redis.del('{places}:places');
  expect(await ledgerAt(pacs('two'))).toBe(ledger);
});

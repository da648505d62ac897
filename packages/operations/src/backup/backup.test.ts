import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { ledgerKeyOf } from '@dicom-dispatch/core';
import { startRedis, tempFolder, type RedisServer } from '@dicom-dispatch/harness';
import { reconcile } from '@dicom-dispatch/pipeline';
import { startTestPipeline, type TestPipeline } from '@dicom-dispatch/pipeline/testing';
import { readKeys, readStudies, scanNames, writeStudies, type KeyEntry } from '@dicom-dispatch/state/backup';
import { currentFormat, keyTable, openFormat, redisKeys, rowOfKey } from '@dicom-dispatch/state/keys';
import { deliveryStates } from '@dicom-dispatch/state/records';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkBackup, makeBackup, restoreBackup } from './index.ts';

const prefix = '{dicom-dispatch}';
const keys = redisKeys(prefix);
const options = { version: '1.2.3' };
const notReplacing = { replace: false };

let server: RedisServer;
let redis: Redis;
let pipeline: TestPipeline;
let folder: Awaited<ReturnType<typeof tempFolder>>;
let file: string;
let count = 0;

beforeAll(async () => {
  [server, folder] = await Promise.all([startRedis({ appendonly: false }), tempFolder()]);
  redis = new Redis(server.url);
  pipeline = await startTestPipeline(server);
});
beforeEach(async () => {
  await redis.flushall();
  await openFormat(redis, prefix);
  file = join(folder.path, `${(count += 1)}.gz`);
});
afterAll(async () => {
  await pipeline[Symbol.asyncDispose]();
  redis.disconnect();
  await server.stop();
  await folder[Symbol.asyncDispose]();
});

/** The complete content of a backup, and the indexes, which are restored. */
async function durable(): Promise<Map<string, KeyEntry>> {
  const saved = new Map<string, KeyEntry>();
  for await (const names of scanNames(redis, prefix)) {
    const wanted = names.filter((name) => {
      const row = rowOfKey(prefix, `${prefix}:${name}`);
      return row?.backup !== 'no' || name.startsWith('index:') || /^study:[^:]+:o-/.test(name);
    });
    for (const entry of await readKeys(redis, prefix, wanted, 0)) saved.set(entry.name, sorted(entry));
  }
  return saved;
}

/** Sets and hashes have no order, and remaining lifetimes differ by the time between two reads. */
function sorted({ name, type, expiresAt, values }: KeyEntry): KeyEntry {
  // The next check of an open delivery or task is not stored: it is due immediately.
  const isSchedule = ['index:open', 'index:tasks', 'index:priors'].includes(name);
  const pairs = type === 'hash' || type === 'zset';
  const texts = pairs
    ? values.flatMap((value, at) => (at % 2 === 0 ? [`${value} ${isSchedule ? '' : values[at + 1]}`] : []))
    : values;
  return {
    name,
    type,
    expiresAt: expiresAt === null ? null : Math.round(expiresAt / 60_000),
    values: type === 'list' || type === 'stream' ? texts : texts.toSorted(),
  };
}

/** One study in every state, and something under every kind of key that a backup has. */
async function fill(): Promise<void> {
  const { operations, tasks } = pipeline;
  const { records, ledger } = operations;
  for (const [at, state] of deliveryStates.entries()) {
    const study = `1.2.${at}`;
    const { added } = await pipeline.enqueue(study, { to: ['a', 'b'], hold: at === 0 });
    for (const { deliveryId } of added) {
      const record = await records.delivery(deliveryId);
      const key = ledgerKeyOf(record!);
      const confirmed = { version: '1', attempt: 1, deliveryId };
      await ledger.confirm(key, [
        { ...confirmed, sopInstanceUid: `${study}.0` },
        { ...confirmed, sopInstanceUid: `${study}.1` },
      ]);
      if (state === 'delivered') await ledger.fold(key, []);
      const error = {
        code: 'instance-refused',
        stage: 'transfer',
        fault: 'target',
        message: 'x',
        remedy: 'ÿ €',
      } as const;
      await records.update(deliveryId, {
        state,
        ...(state === 'failed' && { error }),
      });
      await redis.set(keys.receipt(deliveryId), Buffer.from([0, 255, 10, 13, 200]), 'PX', 86_400_000);
      await redis.hset(keys.receiptOpen(deliveryId), 'one', 'two');
      await redis.set(keys.state(deliveryId), '{}', 'PX', 86_400_000);
    }
    await redis.hset(keys.choices('main', `o-${study}`), 'any', '{"target":"a"}');
  }
  await redis.set(keys.cancelled('d-unknown'), '1');
  await tasks.open({ studyTaskId: 's-1', source: 'main', targets: ['a'] } as never);
  await tasks.open({ studyTaskId: 's-2', source: 'main', targets: ['a'] } as never);
  await tasks.finish('s-2', ['x'], []);
  const [{ deliveryId = '' } = {}] = await records.deliveriesOfUid('1.2.0', 'main');
  const priors = (id: string, state: string): string =>
    JSON.stringify({ source: 'main', orthancStudyId: 'o-1.2.0', id, state, deliveryId, openedAt: 5, chosen: [] });
  await redis.hset(keys.priors('main', 'o-1.2.0'), {
    p1: priors('p1', 'sending'),
    'p1 lock': 'x',
    p2: priors('p2', 'done'),
  });
  await redis.zadd(keys.index('priors'), 5, 'main o-1.2.0 p1');
  await redis.set(keys.feed('main'), '{"epoch":1,"seq":7,"since":""}');
  await redis.zadd(keys.feedLater('main'), 5, 'o-9');
  await redis.hset(keys.feedLaterWhy('main'), 'o-9', '{}');
  await redis.zadd(keys.waits('main'), 5, 'o-8');
  await redis.hset(keys.settled('main'), 'o-7', '{}');
  await redis.hset(keys.sweep('main'), 'place', 1);
  await redis.hset(keys.generation, 'id', 'g', 'count', 3);
  await redis.sadd(keys.targets, 'a', 'b');
  await redis.set(keys.places('a'), '{"current":"a","places":[]}');
  await redis.rpush(keys.batchTodo('b-1'), ...Array.from({ length: 2_500 }, (_, at) => `o-${at}`));
  await redis.xadd(keys.audit, '5-1', 'who', 'anna', 'what', '\u0000 ü');
  await redis.xadd(keys.audit, '6-1', 'who', 'berta');
  await redis.set(keys.auditHead, 'hash');
  await redis.incr(keys.roundRobin('any'));
  await pipeline.operations.queues.target('b').pause();
}

async function restoreInto(): Promise<void> {
  await redis.flushall();
  await restoreBackup(pipeline.operations, file, notReplacing);
}

describe('a backup', () => {
  it('restores all durable data, byte for byte, and their indexes', async () => {
    await fill();
    const before = await durable();
    const made = await makeBackup(pipeline.operations, file, options);
    expect(made).toMatchObject({ studies: deliveryStates.length, deliveries: { delivered: 2, failed: 2, waiting: 2 } });
    await restoreInto();
    const after = await durable();
    // A flag for an id that no record has is of no use.
    before.delete('cancelled:d-unknown');
    const generation = after.get('generation')?.values.join();
    expect(generation).toContain('"kind":"older"');
    for (const one of [before, after]) one.delete('generation');
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [name, entry] of before) expect(after.get(name), name).toEqual(entry);
    expect(await pipeline.operations.queues.target('b').isPaused()).toBe(true);
    expect(await redis.exists(keys.restoring)).toBe(0);
  });

  it.each(['no JSON', '{}', '[]', 'null'])(
    'names damaged records (%s), and a restore has them and all others',
    async (text) => {
      await fill();
      const { records } = pipeline.operations;
      const [whole, torn] = [
        await records.deliveriesOf({ source: 'main', orthancStudyId: 'o-1.2.2' }),
        keys.study('main', 'o-1.2.3'),
      ];
      const delivery = keys.delivery(whole[0]?.deliveryId ?? '');
      const step = keys.priors('main', 'o-1.2.0');
      await redis.hset(delivery, 'data', text);
      await redis.set(torn, text);
      await redis.hset(step, 'p3', text);
      const before = await durable();
      const made = await makeBackup(pipeline.operations, file, options);
      expect(made.studies).toBe(deliveryStates.length);
      expect([...made.damaged].sort()).toEqual([delivery, torn].sort());
      await redis.flushall();
      const restored = await restoreBackup(pipeline.operations, file, notReplacing);
      expect([...restored.damaged].sort()).toEqual([delivery, step, torn].sort());
      const after = await durable();
      before.delete('cancelled:d-unknown');
      for (const one of [before, after]) for (const name of one.keys()) if (name.startsWith('index:')) one.delete(name);
      for (const one of [before, after]) one.delete('generation');
      expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
      for (const [name, entry] of before) expect(after.get(name), name).toEqual(entry);
      // The damaged study is found, and by the UID that its deliveries have: it is not treated as missing.
      expect(await redis.zscore(keys.index('studies'), 'main o-1.2.3')).not.toBeNull();
      await expect(records.studiesOfUid('1.2.3')).rejects.toMatchObject({ code: 'record-damaged' });
      expect(await redis.zscore(keys.index('state:delivered'), whole[0]?.deliveryId ?? '')).not.toBeNull();
      expect(await records.studiesOfUid('1.2.4')).toHaveLength(1);
    },
  );

  it('needs no jobs: the next reconciliation makes those of all open deliveries', async () => {
    await fill();
    await makeBackup(pipeline.operations, file, options);
    await restoreInto();
    expect(Object.fromEntries((await reconcile(pipeline.reconciling)).repairs)).toMatchObject({ 'dispatcher-gone': 2 });
    const queue = pipeline.operations.queues.target('a');
    expect(await queue.getJobCountByTypes('waiting', 'prioritized', 'delayed')).toBe(1);
  });

  it('has no sessions, tokens, drafts of the configuration, cached tags, and is for its owner only', async () => {
    await redis.set(keys.session('abc'), 'secret-1');
    await redis.set(keys.configurationDraft, 'secret-2');
    await redis.set(keys.cache('tags:x'), 'secret-3');
    await redis.set(keys.notify('x'), 'secret-4');
    await redis.set(`${prefix}-other:key`, 'secret-5');
    await makeBackup(pipeline.operations, file, options);
    expect(gunzipSync(await readFile(file)).toString()).not.toContain('secret-');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('handles every key in the registry', () => {
    const saved = keyTable.filter(({ backup }) => backup !== 'no');
    expect(saved.filter(({ kind }) => kind === 'channel')).toEqual([]);
    const secret = new Set(['session:HASH', 'configuration-draft', 'cache:…']);
    expect(saved.filter(({ keys: names }) => names.some((name) => secret.has(name)))).toEqual([]);
  });

  it('is of use while everything runs: what the feed has passed is in it, with what was confirmed', async () => {
    const { records, ledger } = pipeline.operations;
    const stop = new AbortController();
    let seq = 0;
    const running = (async () => {
      while (!stop.signal.aborted) {
        seq += 1;
        const { added } = await pipeline.enqueue(`1.3.${seq}`);
        await redis.set(keys.feed('main'), JSON.stringify({ epoch: 1, seq, since: '' }));
        const id = added[0]?.deliveryId ?? '';
        const record = await records.delivery(id);
        const key = ledgerKeyOf(record!);
        const confirmed = { version: '1', attempt: 1, deliveryId: id };
        await ledger.confirm(
          key,
          [0, 1].map((at) => ({ ...confirmed, sopInstanceUid: `1.3.${seq}.${at}` })),
        );
        await records.update(id, { state: 'delivered' });
        await ledger.fold(key, []);
      }
    })();
    try {
      for (let round = 0; round < 10; round += 1) await makeBackup(pipeline.operations, file, options);
    } finally {
      stop.abort();
      await running;
    }
    await restoreInto();
    const feed = JSON.parse((await redis.get(keys.feed('main'))) ?? '{"seq":0}') as { seq: number };
    expect(feed.seq).toBeGreaterThan(0);
    for (let at = 1; at <= seq; at += 1) {
      const [delivery] = await records.deliveriesOfUid(`1.3.${at}`, 'main');
      if (at <= feed.seq) expect(delivery, `study ${at} of ${feed.seq}`).toBeDefined();
      if (delivery?.state !== 'delivered') continue;
      const entries = await ledger.entries(ledgerKeyOf(delivery));
      expect(entries.size, `study ${at}`).toBe(2);
    }
  });

  it('leaves no file after an interruption, and keeps the previous one', async () => {
    await fill();
    await writeFile(file, 'the one before');
    const stopped = new AbortController();
    await expect(
      makeBackup(pipeline.operations, file, { ...options, signal: stopped.signal, onProgress: () => stopped.abort() }),
    ).rejects.toThrow('aborted');
    expect(await readFile(file, 'utf8')).toBe('the one before');
    expect((await readdir(folder.path)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('is not made of data that are migrated or replaced meanwhile', async () => {
    await fill();
    const changes: [key: string, value: string | number][] = [
      [keys.format, currentFormat + 1],
      [keys.formatPending, currentFormat],
      [keys.restoring, 'backup-7'],
    ];
    for (const [key, value] of changes) {
      // By the connection of the backup: before its next command.
      const onProgress = () => void pipeline.operations.redis.set(key, value);
      await expect(makeBackup(pipeline.operations, file, { ...options, onProgress }), key).rejects.toThrow(
        'were migrated or replaced during the backup',
      );
      await expect(makeBackup(pipeline.operations, file, options), key).rejects.toMatchObject({ name: 'FormatError' });
      await redis.del(keys.formatPending, keys.restoring);
      await redis.set(keys.format, currentFormat);
    }
    expect(await readdir(folder.path)).not.toContain(file.split('/').at(-1));
    expect((await makeBackup(pipeline.operations, file, options)).studies).toBeGreaterThan(0);
  });

  it('is not made without data, nor of lost data', async () => {
    await redis.hset(keys.generation, 'id', 'g', 'lost', '{}');
    await expect(makeBackup(pipeline.operations, file, options)).rejects.toThrow('lost data');
    await redis.flushall();
    await expect(makeBackup(pipeline.operations, file, options)).rejects.toThrow('nothing to back up');
  });
});

describe('a restore', () => {
  it('sends priors whose deliveries are not in the backup, and starts again if the study itself is not', async () => {
    const [{ added: along }, { added: sent }] = [await pipeline.enqueue('1.4.1'), await pipeline.enqueue('1.4.2')];
    const [{ deliveryId = '' } = {}, { deliveryId: sentId = '' } = {}] = [along[0], sent[0]];
    const step = (id: string, more: object): string =>
      JSON.stringify({ source: 'main', orthancStudyId: 'o-1.4.1', id, state: 'done', deliveryId, ...more });
    const chosen = [
      { studyInstanceUid: '1', state: 'sent', deliveryId: 'd-lost' },
      { studyInstanceUid: '2', state: 'sent', deliveryId: sentId },
      { studyInstanceUid: '3', state: 'there', deliveryId: 'd-forgotten' },
    ];
    const steps = {
      recent: step('recent', { openedAt: Date.now(), attempts: 2, chosen }),
      old: step('old', { openedAt: 5, chosen }),
      gone: step('gone', { openedAt: Date.now(), deliveryId: 'd-lost', chosen }),
    };
    await redis.hset(keys.priors('main', 'o-1.4.1'), { ...steps, 'gone lock': 'x', 'gone without': '1' });
    await makeBackup(pipeline.operations, file, options);
    const lines = gunzipSync(await readFile(file))
      .toString()
      .split('\n');
    expect(lines.findIndex((line) => line.startsWith('["priors:'))).toBeLessThan(
      lines.findIndex((line) => line.startsWith('{"section":"first"')),
    );
    await restoreInto();
    const after = await redis.hgetall(keys.priors('main', 'o-1.4.1'));
    expect(Object.keys(after).sort()).toEqual(['old', 'recent']);
    expect(after['old']).toBe(steps.old);
    const toBeSent = [{ studyInstanceUid: '1', state: 'chosen' }, ...chosen.slice(1)];
    expect(JSON.parse(after['recent'] ?? '')).toMatchObject({ state: 'sending', attempts: 0, chosen: toBeSent });
    expect(after['recent']).not.toContain('d-lost');
    expect(await redis.zrange(keys.index('priors'), '0', '-1')).toEqual(['main o-1.4.1 recent']);
  });

  it('has a study that was read twice, in two states, once', async () => {
    const { records } = pipeline.operations;
    const { added } = await pipeline.enqueue('1.5.1');
    const read = async () => (await Array.fromAsync(readStudies(redis, prefix, async () => Date.now()))).flat();
    const once = await read();
    await records.update(added[0]?.deliveryId ?? '', { state: 'active' });
    const again = await read();
    for (const parts of [[once, again], [[...once, ...again]]]) {
      await redis.flushall();
      for (const part of parts) await writeStudies(redis, prefix, part, Date.now());
      expect(await records.counts()).toMatchObject({ waiting: 1, active: 0 });
    }
  });

  it('rejects a Redis that has data or services, unless it is to replace the data', async () => {
    await fill();
    await makeBackup(pipeline.operations, file, options);
    await expect(restoreBackup(pipeline.operations, file, notReplacing)).rejects.toThrow('--replace');
    await redis.zadd(keys.processes, Date.now(), 'p-1');
    await redis.set(keys.process('p-1'), JSON.stringify({ services: ['router'], host: 'east', pid: 7 }));
    await expect(restoreBackup(pipeline.operations, file, { replace: true })).rejects.toThrow(
      'router on east (process 7)',
    );
    await redis.del(keys.process('p-1'));
    await redis.set(keys.delivery('d-later'), 'x');
    await restoreBackup(pipeline.operations, file, { replace: true });
    expect(await redis.exists(keys.delivery('d-later'))).toBe(0);
    expect(await pipeline.operations.records.studyCount()).toBe(deliveryStates.length);
  });

  it('prevents services from starting after an interruption, and can be repeated', async () => {
    await fill();
    await makeBackup(pipeline.operations, file, options);
    await redis.flushall();
    await redis.set(keys.restoring, file);
    await redis.set(keys.delivery('d-half'), 'x');
    await expect(openFormat(redis, prefix)).rejects.toThrow('is being restored, or its restore was interrupted');
    await restoreBackup(pipeline.operations, file, notReplacing);
    expect(await redis.exists(keys.delivery('d-half'))).toBe(0);
    expect(await openFormat(redis, prefix)).toEqual({ version: currentFormat, found: currentFormat });
  });

  it('rejects a truncated, changed, foreign or newer file before it writes anything', async () => {
    await fill();
    await makeBackup(pipeline.operations, file, options);
    const whole = await readFile(file);
    const lines = gunzipSync(whole).toString().trimEnd().split('\n');
    const zip = (changed: readonly string[]): Buffer => gzipSync(`${changed.join('\n')}\n`);
    const [head = ''] = lines;
    const bad: readonly (readonly [string, Buffer])[] = [
      ['is damaged or incomplete', whole.subarray(0, whole.length - 20)],
      ['is damaged or incomplete', Buffer.from('not a gzip file')],
      ['is damaged or incomplete', zip(lines.slice(0, -1))],
      ['is damaged or incomplete', zip(lines.map((line, at) => (at === 3 ? line.replace('"', '"x') : line)))],
      ['is damaged or incomplete', zip([...lines.slice(0, 2), ...lines.slice(3)])],
      ['is damaged or incomplete', zip([...lines, '{}'])],
      ['is not a backup of dicom-dispatch', gzipSync('{"a":1}\n')],
      ['newer version of dicom-dispatch (1.2.3)', zip([head.replace('"layout":1', '"layout":2'), ...lines.slice(1)])],
      [`supports up to ${currentFormat}`, zip([head.replace(/"format":\d+/, '"format":99'), ...lines.slice(1)])],
    ];
    await redis.flushall();
    for (const [message, content] of bad) {
      await writeFile(file, content);
      await expect(restoreBackup(pipeline.operations, file, notReplacing)).rejects.toThrow(message);
    }
    // BullMQ records which queues exist.
    expect((await redis.keys('*')).filter((key) => !key.endsWith(':meta'))).toEqual([]);
    await writeFile(file, whole);
    expect(await checkBackup(file)).toMatchObject({ studies: deliveryStates.length, version: '1.2.3' });
  });
});

it('removes the part of a backup whose process was killed, and nothing else', async () => {
  await fill();
  const whole = join(folder.path, 'whole.gz');
  await makeBackup(pipeline.operations, whole, options);
  const bytes = await readFile(whole);
  const hours = (ago: number) => new Date(Date.now() - ago * 3_600_000);
  const put = async (name: string, content: Buffer, ago: number) => {
    await writeFile(join(folder.path, name), content);
    await utimes(join(folder.path, name), hours(ago), hours(ago));
  };
  const killed = bytes.subarray(0, bytes.length / 2);
  await put('2026-11-29.gz.4711.part', killed, 24);
  const others = {
    'now.gz.4712.part': [killed, 0.1],
    'film.4713.part': [Buffer.from('other'), 24],
    'old.gz': [killed, 24],
  };
  for (const [name, [content, ago]] of Object.entries(others)) await put(name, content as Buffer, ago as number);
  await makeBackup(pipeline.operations, file, options);
  const names = await readdir(folder.path);
  expect(names).toEqual(expect.arrayContaining(Object.keys(others)));
  expect(names).not.toContain('2026-11-29.gz.4711.part');
});

import { DispatchError } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import { noCounts, TargetAudits, type AuditFinding, type TargetAudit } from '@dicom-dispatch/state/target-audits';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DispatcherContext } from '../dispatcher-context.ts';
import { fieldOf, runAudit } from './run-audit.ts';
import { sendMissing } from './send-missing.ts';
import { withFormer } from './with-former.ts';

let server: RedisServer;
let redis: Redis;
const log = createLogger('test', { level: 'fatal', format: 'json' });
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', log);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const record = {
  deliveryId: 'd-1',
  source: 'main',
  orthancStudyId: 'study-1',
  studyInstanceUid: '1.2.3',
  target: 'pacs',
  state: 'delivered',
  confirmed: 1,
  updatedAt: 1,
} as DeliveryRecord;

const open = { studies: 1, missing: 1, different: 0, extra: 0 };
const begun: TargetAudit = {
  id: 'second',
  target: 'pacs',
  by: 'ada',
  scope: { sample: 1, content: false },
  startedAt: 2,
  state: 'running',
  counts: noCounts,
  open,
};
const finding: AuditFinding = {
  auditId: 'first',
  at: 1,
  source: 'main',
  orthancStudyId: 'study-1',
  studyInstanceUid: '1.2.3',
  deliveryId: 'd-1',
  missing: ['1.2.3.1'],
  missingCount: 1,
  different: [],
  differentCount: 0,
  extra: [],
  extraCount: 0,
};

/** A target that has confirmed one instance of one study, whose source fails with each of the errors once, then always with the last. */
function contextWith(...errors: readonly [DispatchError, ...DispatchError[]]): DispatcherContext {
  let asked = 0;
  return {
    config: { redis: { prefix: 'test' } },
    redis,
    log,
    records: {
      delivery: async () => record,
      // Nothing has changed while the audit ran.
      deliveries: async ({ since }: { since?: number }) => ({ records: since === undefined ? [record] : [] }),
      deliveriesOf: async () => [record],
    },
    ledger: {
      entries: async () => new Map([['1.2.3.1', { state: 'delivered', at: 1, versionHash: 'x' }]]),
      takeBack: async () => 0,
    },
    receipts: () => ({ read: async () => [] }),
    places: { look: async () => ({ kind: 'same', ledger: 'pacs' }) },
    resolve: async () => ({
      config: { type: 'dummy' },
      handler: { type: 'dummy', inventory: async () => ({ close: async () => {} }) },
    }),
    sources: {
      study: async () => {
        asked += 1;
        throw errors[Math.min(asked, errors.length) - 1] as DispatchError;
      },
    },
  } as unknown as DispatcherContext;
}

const unreadable = [
  new DispatchError('source-gone', 'the study is gone'),
  new DispatchError('source-error', 'the source answered 500'),
];

it.each(unreadable)('preserves earlier findings of a study that cannot be read now: $code', async (error) => {
  const audits = new TargetAudits(redis, 'test');
  const field = fieldOf(record);
  const token = error.code;
  expect(await audits.lease('pacs', token)).toBe(true);
  // A study that cannot be read twice is skipped.
  const audit = { ...begun, tried: field };
  await audits.save(audit, token, [[field, finding]]);
  const running = {
    context: contextWith(error),
    audits,
    token,
    signal: new AbortController().signal,
    mayGoOn: () => true,
  };
  await runAudit(running, audit);
  expect(await audits.read('pacs')).toMatchObject({ state: 'done', counts: { unread: 1 }, open });
  const kept = [...(await audits.findings('pacs')).values()];
  expect(kept).toEqual([{ ...finding, auditId: 'second' }]);

  await sendMissing(running, audit, { kind: 'send', by: 'ada' });
  expect([...(await audits.findings('pacs')).values()]).toEqual(kept);
  await audits.release('pacs', token);
});

it('sends missing instances of other studies if one cannot be read', async () => {
  const audits = new TargetAudits(redis, 'test');
  const send = async (...errors: readonly [DispatchError, DispatchError]) => {
    const token = errors[1].message;
    expect(await audits.lease('pacs', token)).toBe(true);
    // Findings of an earlier test are removed.
    const old = [...(await audits.findings('pacs')).keys()].map((field) => [field, undefined] as const);
    await audits.save(begun, token, [...old, ['main one', finding], ['main two', finding]]);
    const context = contextWith(...errors);
    const running = { context, audits, token, signal: new AbortController().signal, mayGoOn: () => true };
    await sendMissing(running, begun, { kind: 'send', by: 'ada' });
    await audits.release('pacs', token);
    return audits.read('pacs');
  };
  // The second study is requested, too.
  expect(await send(unreadable[1]!, new DispatchError('source-error', 'the second study'))).toMatchObject({
    reason: 'sending missing instances: source-error: the second study',
    sent: { studies: 0, instances: 0 },
  });
  expect((await audits.findings('pacs')).size).toBe(2);
  // A source that cannot be reached ends the sending.
  const away = new DispatchError('source-unreachable', 'connection refused');
  expect(await send(away, new DispatchError('source-error', 'it was asked again'))).toMatchObject({
    reason: 'sending missing instances: source-unreachable: connection refused',
  });
});

it('preserves findings of different content if it compares none', () => {
  const details = { '1.2.3.1': 'differs in PixelData' };
  const nothing = { missing: [], missingCount: 0 };
  const former = { ...finding, ...nothing, content: true, different: ['1.2.3.1'], differentCount: 1, details };
  const none = { compared: 0, uncompared: 0 };
  const after = (more: Partial<Parameters<typeof withFormer>[0]>) =>
    withFormer({ former, found: undefined, counts: none, content: false, ...more });
  expect(after({})).toEqual(former);
  // The target now lacks another instance, too.
  const lacking = { ...finding, auditId: 'second' };
  expect(after({ found: lacking })).toEqual({
    ...lacking,
    content: true,
    different: ['1.2.3.1'],
    differentCount: 1,
    details,
  });
  expect(after({ content: true, counts: { compared: 1, uncompared: 2 } })).toEqual(former);
  // The contents were compared, and are the same now.
  expect(after({ content: true, counts: { compared: 3, uncompared: 0 } })).toBeUndefined();
  // A size is compared in every audit.
  expect(after({ former: { ...former, content: false } })).toBeUndefined();
});

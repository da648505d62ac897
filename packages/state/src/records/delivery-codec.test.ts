import { expect, it } from 'vitest';
import { decodeDelivery, encodeField, isMeant } from './delivery-codec.ts';
import { fromNow, type DeliveryRecord } from './index.ts';

const data = {
  deliveryId: 'd-1',
  target: 'pacs',
  source: 'main',
  instanceCount: 7,
  rules: ['ct', 'all'],
  priority: 'normal',
  routedAt: 1_000,
};
const stored = { data: JSON.stringify(data), state: 'waiting' };
const recordOf = (more: Record<string, string> = {}): DeliveryRecord =>
  decodeDelivery({ ...stored, ...more }, 'd-1')[0]!;
const error = { code: 'target-full', stage: 'transfer', fault: 'target', message: 'm', remedy: 'r' };

it('a delivery without data does not exist', () => {
  expect(decodeDelivery({}, 'd-1')).toEqual([]);
  expect(decodeDelivery({ state: 'waiting', attempts: '3' }, 'd-1')).toEqual([]);
});

it('what is not stored has its first value', () => {
  expect(decodeDelivery(stored, 'd-1')).toEqual([
    {
      ...data,
      state: 'waiting',
      attempts: 0,
      total: 7,
      confirmed: 0,
      quarantined: 0,
      bytesSent: 0,
      failures: 0,
      waits: 0,
      losses: 0,
      updatedAt: 1_000,
      since: 1_000,
      mayBeLost: false,
      anyway: false,
    },
  ]);
});

it('each field is read as it was stored', () => {
  const texts = {
    replaces: 'd-0',
    stage: 'transfer',
    failStage: 'connect',
    worker: 'w',
    ledger: 'pacs~2',
    place: 'p',
    notice: 'n',
    wake: 'job',
    lock: 'l',
    token: 't',
  };
  const numbers = {
    attempts: 2,
    total: 9,
    confirmed: 3,
    quarantined: 1,
    bytesSent: 44,
    startedAt: 5,
    endedAt: 6,
    retriedAt: 8,
    nextAttemptAt: 10,
    updatedAt: 11,
    failures: 12,
    waits: 13,
    losses: 14,
    since: 15,
  };
  const resolution = { by: 'otto', reason: 'known', at: 1, was: 'failed' };
  const record = recordOf({
    ...texts,
    ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)])),
    priority: 'urgent',
    error: JSON.stringify(error),
    resolution: JSON.stringify(resolution),
    mayBeLost: 'true',
    anyway: 'true',
  });
  expect(record).toEqual({
    ...data,
    ...texts,
    ...numbers,
    state: 'waiting',
    priority: 'urgent',
    error,
    resolution,
    mayBeLost: true,
    anyway: true,
  });
  for (const text of ['false', '', '1']) {
    expect(recordOf({ mayBeLost: text, anyway: text })).toMatchObject({ mayBeLost: false, anyway: false });
  }
});

it('a delivery has waited since its last retry at most', () => {
  expect(recordOf({ since: '500', retriedAt: '700' }).since).toBe(700);
  expect(recordOf({ since: '900', retriedAt: '700' }).since).toBe(900);
  expect(recordOf({ retriedAt: '700' }).since).toBe(1_000);
});

it('a value is stored as text, as a time from now, or removed', () => {
  expect(encodeField(null)).toBe('');
  expect(encodeField(fromNow(5_000))).toBe('+5000');
  expect(encodeField(error)).toBe(JSON.stringify(error));
  expect(encodeField(7)).toBe('7');
  expect(encodeField(true)).toBe('true');
  expect(encodeField('text')).toBe('text');
});

it('a record matches a selection if each of its fields does', () => {
  const record = recordOf({ error: JSON.stringify(error) });
  const failedEarlier = recordOf({ error: JSON.stringify(error), failStage: 'connect' });
  expect(isMeant(record, {})).toBe(true);
  const matching = {
    state: 'waiting',
    target: 'pacs',
    stage: 'transfer',
    code: 'target-full',
    rule: 'all',
    source: 'main',
  } as const;
  const others = {
    state: 'active',
    target: 'cloud',
    stage: 'verify',
    code: 'instance-refused',
    rule: 'mr',
    source: 'other',
  } as const;
  expect(isMeant(record, matching)).toBe(true);
  for (const name of Object.keys(matching) as (keyof typeof matching)[]) {
    expect(isMeant(record, { [name]: matching[name] }), name).toBe(true);
    expect(isMeant(record, { [name]: others[name] }), name).toBe(false);
    expect(isMeant(record, { ...matching, [name]: others[name] }), name).toBe(false);
  }
  expect(isMeant(record, { state: 'held' })).toBe(true);
  expect(isMeant(recordOf({ state: 'active' }), { state: 'held' })).toBe(false);
  // Where the attempt ended counts, not where the error usually occurs.
  expect([isMeant(failedEarlier, { stage: 'connect' }), isMeant(failedEarlier, { stage: 'transfer' })]).toEqual([
    true,
    false,
  ]);
  expect(isMeant(recordOf(), { stage: 'transfer' })).toBe(false);
  expect(isMeant(recordOf(), { code: 'target-full' })).toBe(false);
});

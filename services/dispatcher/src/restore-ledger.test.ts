import { contentHash, type ManifestInstance } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import type { Attempt } from './delivery-job-run.ts';
import { restoreLedger } from './restore-ledger.ts';

const instance = (name: string, version: string): ManifestInstance =>
  ({ sopInstanceUid: name, seriesInstanceUid: 's', sourceId: name, version }) as ManifestInstance;
const first = [instance('1', 'v1'), instance('2', 'v2')];
const all = [...first, instance('3', 'v3')];
const study = { source: 'main', orthancStudyId: 'o', studyInstanceUid: '1.2', target: 'pacs' };

/** What an earlier delivery of the first two instances has confirmed. */
const earlier = {
  ...study,
  deliveryId: 'd-earlier',
  contentHash: contentHash(first),
  state: 'delivered',
  instanceCount: 2,
  confirmed: 2,
  total: 2,
  attempts: 1,
  endedAt: 5,
};

/** The instances that are confirmed again, and the text for the timeline. */
async function restored(
  given: {
    readonly earlier?: object;
    readonly record?: object;
    readonly data?: object;
    readonly ledger?: number;
    readonly audited?: true;
  } = {},
): Promise<{ readonly confirmed: readonly string[]; readonly text: string | undefined }> {
  const confirmed: string[] = [];
  let text: string | undefined;
  const attempt = {
    number: 1,
    data: { ...study, deliveryId: 'd-late', contentHash: contentHash(all), again: true, ...given.data },
    record: { attempts: 0, ...given.record },
    job: { queueName: 'q', id: 'd-late' },
    token: 't',
    log: { error() {} },
    context: {
      config: { redis: { prefix: '{d}' } },
      redis: { exists: async (key: string) => Number(given.audited === true && key.endsWith(':pacs')) },
      ledger: {
        summary: async () => ({ delivered: given.ledger ?? 0, quarantined: 0 }),
        async confirm(_key: unknown, entries: readonly ManifestInstance[]) {
          confirmed.push(...entries.map(({ sopInstanceUid }) => sopInstanceUid));
        },
      },
      records: {
        deliveriesOf: async () => [
          { deliveryId: 'd-late', ...study },
          { ...earlier, ...given.earlier },
        ],
        async update(_id: string, _patch: unknown, event: { readonly text: string }) {
          text = event.text;
        },
      },
    },
  } as unknown as Attempt;
  await restoreLedger(attempt, study, all);
  return { confirmed, text };
}

const nothing = { confirmed: [], text: undefined };

it('confirms again what an earlier delivery proves, and reports it', async () => {
  expect(await restored()).toEqual({
    confirmed: ['1', '2'],
    text: expect.stringContaining('2 instances that an earlier delivery has confirmed are not sent again'),
  });
  // One that an audit had reopened, and that has arrived since.
  expect((await restored({ earlier: { retriedAt: 4 } })).confirmed).toEqual(['1', '2']);
});

it('reports that all is sent once more if the content is not proven', async () => {
  const text = expect.stringContaining('is sent once more');
  for (const one of [{ confirmed: 1 }, { contentHash: 'another' }, { mayBeLost: true }, { state: 'partial' }])
    expect(await restored({ earlier: one })).toEqual({ confirmed: [], text });
  // An audit may be removing confirmations that it read before they were lost.
  expect(await restored({ audited: true })).toEqual({ confirmed: [], text });
});

it('does nothing if the ledger exists, or a new delivery was meant to send everything', async () => {
  expect(await restored({ ledger: 1 })).toEqual(nothing);
  for (const data of [{ again: undefined }, { nonce: 'n' }, { late: 'all' }])
    expect(await restored({ data })).toEqual(nothing);
});

it('does nothing once its delivery has begun: an uncounted attempt may have revoked all', async () => {
  expect(await restored({ record: { startedAt: 1 } })).toEqual(nothing);
});

it('does nothing if the earlier delivery was reopened: an audit has removed the confirmations', async () => {
  for (const state of ['waiting', 'active', 'failed', 'cancelled'])
    expect(await restored({ earlier: { state, retriedAt: 4 } })).toEqual(nothing);
});

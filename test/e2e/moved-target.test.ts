import { startStorescp, waitFor, type StorescpServer } from '@dicom-dispatch/harness';
import { decidePlace, explainWaiting } from '@dicom-dispatch/operations';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pacsTarget } from './support/pacs-target.ts';
import { startRoutingSystem, type RoutingSystem, type RunningRouting } from './support/routing-system.ts';

let system: RoutingSystem;
let first: StorescpServer;
let second: StorescpServer;

beforeAll(async () => {
  [system, first, second] = await Promise.all([startRoutingSystem(), startStorescp(), startStorescp()]);
});
afterAll(async () => {
  await Promise.all([system?.[Symbol.asyncDispose](), first?.stop(), second?.stop()]);
});

const at = (scp: StorescpServer) => ({ targets: { pacs: pacsTarget(scp) } });
const small = { instancesPerSeries: 2 };

async function uidsAt(scp: StorescpServer): Promise<string[]> {
  return (await scp.received()).map(({ sopInstanceUid }) => sopInstanceUid);
}

/** The delivery of a study that waits for an operator's decision. */
async function untilUndecided(run: RunningRouting, study: { readonly orthancStudyId: string }): Promise<string> {
  let seen = '';
  return waitFor(
    async () => {
      const [delivery] = await run.operations.records.deliveriesOf({ source: 'main', ...study });
      if (!delivery || delivery.state !== 'waiting') return undefined;
      const { reason, text } = await explainWaiting(run.operations, delivery);
      seen = text;
      const events = await run.operations.records.events(delivery.deliveryId);
      return reason === 'target-moved' && events.some((event) => event.text.includes('dispatch target same pacs'))
        ? delivery.deliveryId
        : undefined;
    },
    { message: () => seen },
  );
}

async function untilDelivered(run: RunningRouting, id: string): Promise<unknown> {
  return waitFor(async () => {
    const record = await run.operations.records.delivery(id);
    return record?.state === 'delivered' && record;
  });
}

it('another archive with the same name gets all of a study; back at the first, only missing instances are sent', async () => {
  await using run = await system.start(at(first));
  const old = await system.upload({ seed: 'moved', series: 1, ...small });
  await run.until(old, 'pacs', 'delivered');
  expect((await uidsAt(first)).sort()).toEqual([...old.sopInstanceUids].sort());

  await run.reload(at(second));
  const grown = await system.upload({ seed: 'moved', series: 2, ...small });
  const id = await untilUndecided(run, grown);
  expect(await uidsAt(second)).toEqual([]);
  expect(await decidePlace(run.operations, 'pacs', 'new')).toMatchObject({ ledger: 'pacs~2', resumed: 1 });
  const delivered = await untilDelivered(run, id);
  expect((await uidsAt(second)).sort()).toEqual([...grown.sopInstanceUids].sort());
  expect(delivered).toMatchObject({
    ledger: 'pacs~2',
    total: 4,
    confirmed: 4,
    place: expect.stringContaining(`:${second.port} `),
  });

  await run.reload(at(first));
  const last = await system.upload({ seed: 'moved', series: 3, ...small });
  await waitFor(async () => (await uidsAt(first)).length === 6);
  expect((await uidsAt(first)).sort()).toEqual([...last.sopInstanceUids].sort());
  expect((await uidsAt(second)).length).toBe(4);
  await run.until(last, 'pacs', 'delivered');
  await system.orthanc.send('DELETE', `/studies/${old.orthancStudyId}`);
});

it('an archive that moved with its contents gets only what it lacks', async () => {
  await using run = await system.start(at(first));
  const old = await system.upload({ seed: 'along', series: 1, ...small });
  await run.until(old, 'pacs', 'delivered');
  await run.reload(at(second));
  const grown = await system.upload({ seed: 'along', series: 2, ...small });
  const id = await untilUndecided(run, grown);
  expect(await decidePlace(run.operations, 'pacs', 'same')).toMatchObject({ ledger: 'pacs' });
  await untilDelivered(run, id);
  const there = (await uidsAt(second)).filter((uid) => grown.sopInstanceUids.includes(uid));
  expect(there.sort()).toEqual(grown.sopInstanceUids.filter((uid) => !old.sopInstanceUids.includes(uid)).sort());
  await expect(decidePlace(run.operations, 'pacs', 'new')).rejects.toMatchObject({ code: 'conflict' });
});

import { startFakeClock, waitFor, type FakeClock } from '@dicom-dispatch/harness';
import { redisNow } from '@dicom-dispatch/state/redis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { startFeedStandIn, type FeedStandIn } from './support/feed-stand-in.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';
import { prefix, startSystem, type System, type UploadedStudy } from './support/system.ts';

/**
 * Wrong clocks of processes and of the source (libfaketime): due times follow the clock of Redis, dates of a source follow
 * the source, and nothing is lost when a clock is set.
 */
let clocks: { readonly router: FakeClock; readonly dispatcher: FakeClock; readonly source: FakeClock };
let system: System;
let scp: FaultScp;
let feed: FeedStandIn;
let old: readonly UploadedStudy[];
const running: RunningDispatch[] = [];
const small = { instancesPerSeries: 2, rows: 16, columns: 16 };

beforeAll(async () => {
  // At its first start the router's clock is ahead already.
  clocks = { router: await startFakeClock(600), dispatcher: await startFakeClock(), source: await startFakeClock() };
  [system, scp] = await Promise.all([startSystem({ env: clocks.source.env }), startFaultScp()]);
  feed = await startFeedStandIn(system.orthanc.url);
  // They existed before the first start and must never be sent, regardless of their dates.
  await clocks.source.set(86_400);
  const ahead = await untilStable(await system.upload({ ...small, seed: 'dated tomorrow' }));
  await clocks.source.set(0);
  old = [ahead, await untilStable(await system.upload({ ...small, seed: 'before the beginning' }))];
  const config = system.config(
    { pacs: pacsTarget(scp, { connectTimeout: '1s' }) },
    { sources: { main: { url: feed.url, pollInterval: '200ms', sweep: { every: '1s', settle: '1s' } } } },
  );
  running.push(
    ...(await Promise.all([
      startDispatch({ command: 'router', config, env: clocks.router.env }),
      startDispatch({ command: 'dispatcher', config, env: clocks.dispatcher.env }),
    ])),
  );
});
afterAll(async () => {
  for (const one of running) await one.stop();
  await Promise.all([scp[Symbol.asyncDispose](), feed[Symbol.asyncDispose]()]);
  await system[Symbol.asyncDispose]();
  for (const clock of Object.values(clocks)) await clock[Symbol.asyncDispose]();
});

const output = (): string => running.map((one) => one.output()).join('\n');

it('of a router, 10 minutes ahead at its first start: arriving studies are routed, and the difference is reported', async () => {
  const study = await system.upload({ ...small, seed: 'router ahead' });
  await system.untilDelivery(study, 'pacs', ['delivered']).catch((error: unknown) => {
    throw new Error(output(), { cause: error });
  });
  expect(running[0]?.output()).toContain('the local clock and the clock of Redis differ');
});

it('of a dispatcher, a day ahead for a while: circuit and pauses end when they should', async () => {
  await clocks.dispatcher.set(86_400);
  await scp.down();
  const study = await system.upload({ ...small, seed: 'dispatcher ahead' });
  await expect
    .poll(async () => (await delivery(study.orthancStudyId))?.error?.code, { timeout: 600_000, message: output() })
    .toBeDefined();
  const { nextAttemptAt = 0 } = (await delivery(study.orthancStudyId)) ?? {};
  expect(nextAttemptAt - (await redisNow(system.client, prefix))).toBeLessThan(120_000);
  await clocks.dispatcher.set(0);
  await scp.up();
  await system.untilDelivery(study, 'pacs', ['delivered']);
});

it.each([
  ['what comes is routed', () => false],
  ['what comes is routed, also when its event is lost', ({ ChangeType }) => ChangeType === 'StableStudy'],
] as const satisfies [string, FeedStandIn['hide']][])(
  'of the source, set back by 10 minutes: %s, and nothing from before the beginning',
  async (what, hide) => {
    await clocks.source.set(-600);
    feed.hide = hide;
    const study = await system.upload({ ...small, seed: what });
    await system.untilDelivery(study, 'pacs', ['delivered']).catch((error: unknown) => {
      throw new Error(output(), { cause: error });
    });
    for (const { orthancStudyId } of old) expect(await delivery(orthancStudyId)).toBeUndefined();
  },
);

async function untilStable(study: UploadedStudy): Promise<UploadedStudy> {
  await waitFor(
    async () => ((await system.orthanc.get(`/studies/${study.orthancStudyId}`)) as { IsStable: boolean }).IsStable,
  );
  return study;
}

const delivery = async (orthancStudyId: string) =>
  (await system.records.deliveriesOf({ source: 'main', orthancStudyId }))[0];

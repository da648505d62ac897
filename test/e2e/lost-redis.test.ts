import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor, type OrthancServer } from '@dicom-dispatch/harness';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startDispatch, type DispatchOptions, type RunningDispatch } from './support/start-dispatch.ts';
import { startSystem, type System, type UploadedStudy } from './support/system.ts';
import { untilNoted } from './support/until-noted.ts';

/**
 * Redis loses its data while everything runs, or between two runs: the loss is detected, studies that had arrived or were
 * never wanted are not sent, and waiting studies arrive.
 */
let system: System;
let scp: FaultScp;
let other: FaultScp;
const running: RunningDispatch[] = [];

const small = { instancesPerSeries: 2, rows: 16, columns: 16 };

beforeAll(async () => {
  [scp, other] = await Promise.all([startFaultScp(), startFaultScp()]);
});
afterAll(async () => {
  await Promise.all([scp[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]);
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
  await system[Symbol.asyncDispose]();
});

async function begin(options: Partial<DispatchOptions> = {}): Promise<RunningDispatch> {
  const dispatch = await startDispatch({
    config: system.config(
      { pacs: pacsTarget(scp), archive: pacsTarget(other) },
      { sources: { main: { url: system.orthanc.url, pollInterval: '200ms', sweep: { settle: '2s' } } } },
    ),
    ...options,
  });
  running.push(dispatch);
  return dispatch;
}

/** A study from before the first start, one that has arrived, one that waits for one of two targets. */
async function fill(): Promise<{ old: UploadedStudy; arrived: UploadedStudy; waits: UploadedStudy }> {
  const old = await system.upload({ ...small, seed: `old ${Math.random()}` });
  await stable(system.orthanc, old);
  // A source's timestamps have a resolution of one second.
  await sleep(1_500);
  const dispatch = await begin();
  const arrived = await system.upload({ ...small, seed: `arrived ${Math.random()}` });
  for (const target of ['pacs', 'archive']) await system.untilDelivery(arrived, target, ['delivered']);
  await other.down();
  const waits = await system.upload({ ...small, seed: `waits ${Math.random()}` });
  await system.untilDelivery(waits, 'pacs', ['delivered']);
  await untilNoted(dispatch, waits, ['archive waiting', 'pacs delivered']);
  return { old, arrived, waits };
}

async function stable(orthanc: OrthancServer, study: UploadedStudy): Promise<void> {
  await waitFor(
    async () => ((await orthanc.get(`/studies/${study.orthancStudyId}`)) as { IsStable: boolean }).IsStable,
  );
}

/** How often each instance of a study reached a receiver. */
function times(at: FaultScp, study: UploadedStudy): number[] {
  return [...study.datasets.keys()].map((uid) => at.stores.filter((one) => one.sopInstanceUid === uid).length);
}

async function untilAllArrived({ old, arrived, waits }: Awaited<ReturnType<typeof fill>>): Promise<void> {
  const output = (): string => running.map((one) => one.output()).join('\n');
  await other.up();
  await waitFor(() => times(other, waits).every((count) => count > 0), { message: output });
  // Later studies are routed as before.
  const after = await system.upload({ ...small, seed: `after ${Math.random()}` });
  for (const target of ['pacs', 'archive']) {
    await system.untilDelivery(after, target, ['delivered']).catch((error: unknown) => {
      throw new Error(output(), { cause: error });
    });
  }
  for (const at of [scp, other]) {
    expect(times(at, old), 'was never wanted').toEqual([0, 0]);
    expect(times(at, arrived), output()).toEqual([1, 1]);
    expect(times(at, waits), `${at === scp ? 'pacs' : 'archive'}\n${output()}`).toEqual([1, 1]);
    expect(times(at, after)).toEqual([1, 1]);
  }
}

describe('Redis loses its data', () => {
  it('all of it, under running services', async () => {
    system = await startSystem();
    const studies = await fill();
    await system.client.flushall();
    const [dispatch] = running;
    await waitFor(() => dispatch?.output().includes('Redis has lost data'));
    await waitFor(() => dispatch?.output().includes('is recovered'), {
      message: () => dispatch?.output() ?? '',
    });
    await untilAllArrived(studies);
  });

  it('all of it, while nothing runs', async () => {
    system = await startSystem();
    const studies = await fill();
    const [dispatch] = running;
    await dispatch?.kill('SIGKILL');
    await system.client.flushall();
    await dispatch?.restart();
    expect(dispatch?.output()).toContain('"loss":"gone"');
    await untilAllArrived(studies);
  });
});

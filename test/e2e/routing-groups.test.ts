import { waitFor } from '@dicom-dispatch/harness';
import { planByName, StudyEnqueuer } from '@dicom-dispatch/pipeline';
import { readSnapshot } from '@dicom-dispatch/sources';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import {
  startRoutingSystem,
  type RoutingSystem,
  type RunningRouting,
  type UploadedStudy,
} from './support/routing-system.ts';

let system: RoutingSystem;
beforeAll(async () => {
  system = await startRoutingSystem();
});
afterAll(async () => {
  await system[Symbol.asyncDispose]();
});

function got(scp: FaultScp, study: UploadedStudy): string[] {
  const wanted = new Set(study.sopInstanceUids);
  return scp.stores.flatMap(({ sopInstanceUid, status }) =>
    status === 0 && wanted.has(sopInstanceUid) ? [sopInstanceUid] : [],
  );
}

function pair(
  one: FaultScp,
  other: FaultScp,
  strategy: string,
  more: object = {},
): { targets: Record<string, object>; groups: object; rules: object[] } {
  return {
    targets: {
      one: pacsTarget(one, { maxParallel: 1, ...more }),
      other: pacsTarget(other, { maxParallel: 1, ...more }),
    },
    groups: { archive: { strategy, targets: ['one', 'other'] } },
    rules: [{ name: 'to-archive', targets: ['archive'] }],
  };
}

async function timeline(run: RunningRouting, deliveryId: string): Promise<string> {
  return (await run.operations.records.events(deliveryId)).map(({ kind, text }) => `${kind}: ${text}`).join('\n');
}

describe('first-available', () => {
  it('a target that crashes during a transfer: the other gets the complete study, neither gets anything twice', async () => {
    await using one = await startFaultScp();
    await using other = await startFaultScp();
    one.answer = (_uid, count) => (count >= 6 ? 'die' : 0);
    await using run = await system.start(pair(one, other, 'first-available'));
    const study = await system.upload({ seed: 'failover', instancesPerSeries: 20 });
    const taken = await run.until(study, 'other', 'delivered');
    const moved = await run.until(study, 'one', 'moved');
    expect(got(other, study).sort()).toEqual([...study.sopInstanceUids].sort());
    expect(new Set(got(one, study)).size).toBe(got(one, study).length);
    expect(got(one, study).length).toBeGreaterThan(0);
    expect(await timeline(run, moved.deliveryId)).toContain('other has taken over the delivery');
    expect(await timeline(run, taken.deliveryId)).toContain('taken over from one');
    await waitFor(async () => (await run.connection.zcard(`${run.config.redis.prefix}:study:completed`)) === 1, {
      message: 'the study task completes',
    });
    // Later instances go where the study is, even if the first target is back.
    one.answer = () => 0;
    await one.up();
    const more = await system.upload({ seed: 'failover-2', into: 'failover', instancesPerSeries: 1 });
    await waitFor(() => got(other, more).length === 1, { message: 'the late instance' });
    expect(got(one, more)).toEqual([]);
  });

  it('studies that wait for a dead target go to the other, and later ones do not even try it', async () => {
    await using one = await startFaultScp();
    await using other = await startFaultScp();
    await one.down();
    await using run = await system.start(pair(one, other, 'first-available', { concurrency: 1 }));
    const studies = [];
    for (let index = 0; index < 5; index += 1)
      studies.push(await system.upload({ seed: `dead-${index}`, instancesPerSeries: 1 }));
    for (const study of studies) await run.until(study, 'other', 'delivered');
    expect(
      await run.operations.queues.target('one').getJobCountByTypes('waiting', 'prioritized', 'delayed', 'active'),
    ).toBe(0);
    for (const study of studies) expect(got(other, study)).toHaveLength(1);
  });

  it('waits if none can be used, and continues when one is available', async () => {
    await using one = await startFaultScp();
    await using other = await startFaultScp();
    await Promise.all([one.down(), other.down()]);
    await using run = await system.start(pair(one, other, 'first-available'));
    const study = await system.upload({ seed: 'both-dead', instancesPerSeries: 2 });
    await waitFor(
      async () =>
        (await run.operations.circuits.state('other')).state !== 'closed' &&
        (await run.operations.circuits.state('one')).state !== 'closed',
      { message: 'both circuits are open' },
    );
    await other.up();
    await run.until(study, 'other', 'delivered');
    expect(got(other, study)).toHaveLength(2);
  });
});

describe('load balancing', () => {
  it('round-robin alternates, and a study stays with its member', async () => {
    await using one = await startFaultScp();
    await using other = await startFaultScp();
    await using run = await system.start(pair(one, other, 'round-robin'));
    const studies: UploadedStudy[] = [];
    for (let index = 0; index < 6; index += 1) {
      const study = await system.upload({ seed: `turn-${index}`, instancesPerSeries: 1 });
      studies.push(study);
      await waitFor(async () => (await run.deliveries(study)).some(({ state }) => state === 'delivered'), {
        message: 'delivered',
      });
    }
    const counts = [one, other].map((scp) => studies.filter((study) => got(scp, study).length === 1).length);
    expect(counts[0]).toBe(counts[1]);
    const [first] = studies as [UploadedStudy];
    const more = await system.upload({ seed: 'turn-more', into: 'turn-0', instancesPerSeries: 1 });
    await waitFor(() => got(one, more).length + got(other, more).length === 1, {
      message: 'the late one',
    });
    expect(got(one, more).length).toBe(got(one, first).length);
  });

  it('least-busy avoids the one with a backlog, and the dead one', async () => {
    await using one = await startFaultScp();
    await using other = await startFaultScp();
    await using run = await system.start(pair(one, other, 'least-busy'));
    await run.operations.queues.target('one').add('delivery', {}, { delay: 3_600_000 });
    await run.operations.queues.target('one').add('delivery', {}, { delay: 3_600_000 });
    const studies = [];
    for (let index = 0; index < 2; index += 1)
      studies.push(await system.upload({ seed: `busy-${index}`, instancesPerSeries: 1 }));
    for (const study of studies) await run.until(study, 'other', 'delivered');
    await other.down();
    const study = await system.upload({ seed: 'busy-dead', instancesPerSeries: 3 });
    await run.until(study, 'one', 'delivered');
    expect(got(one, study)).toHaveLength(3);
  });
});

describe('load balancing with a member that dies in the middle', () => {
  let tries = 0;
  it.each(['round-robin', 'least-busy'])('%s: every study arrives completely at one of them', async (strategy) => {
    // Studies left in Orthanc by an earlier attempt would not be routed again.
    tries += 1;
    await using one = await startFaultScp();
    await using other = await startFaultScp();
    one.answer = (_uid, count) => (count >= 3 ? 'die' : 0);
    await using run = await system.start(pair(one, other, strategy, { concurrency: 1 }));
    const studies: UploadedStudy[] = [];
    for (let index = 0; index < 4; index += 1)
      studies.push(await system.upload({ seed: `${strategy}-dies-${tries}-${index}`, instancesPerSeries: 5 }));
    for (const study of studies) {
      await waitFor(async () => (await run.deliveries(study)).some(({ state }) => state === 'delivered'), {
        message: 'delivered',
      });
      expect(Math.max(got(one, study).length, got(other, study).length)).toBe(5);
    }
    // Moved deliveries of any study: a study of an earlier test that becomes stable a second time may have been sent to the
    // dead member.
    const moved = await run.operations.records.deliveries({ state: 'moved', target: 'one', limit: 10 });
    expect(moved.records.length).toBeGreaterThan(0);
  });
});

describe('priority', () => {
  it('with 500 background studies waiting a stat study starts next, and background moves on under urgent load', async () => {
    const targets = { slow: { type: 'dummy', concurrency: 1 } };
    const study = await system.upload({ seed: 'priority', instancesPerSeries: 1 });
    await using run = await system.start({ targets, redis: { url: system.redis.url, prefix: '{priority}' } }, []);
    const enqueuer = new StudyEnqueuer(run.config, run.connection, run.operations.records);
    const snapshot = await readSnapshot(system.client, 'main', study.orthancStudyId);
    let count = 0;
    const add = async (priority: 'stat' | 'urgent' | 'background'): Promise<string> => {
      count += 1;
      const deliveries = planByName(run.config, ['slow'], { rules: [priority], priority });
      const { added } = await enqueuer.enqueue({
        source: 'main',
        epoch: '1',
        ...snapshot,
        rules: [priority],
        deliveries,
        nonce: `${count}`,
      });
      return added[0]?.deliveryId ?? '';
    };
    const background = new Set<string>();
    for (let index = 0; index < 500; index += 1) background.add(await add('background'));
    await using worker = await system.start({ targets, redis: { url: system.redis.url, prefix: '{priority}' } }, [
      'dispatcher',
    ]);
    const started = async (): Promise<string[]> => {
      const all = await worker.deliveries(study);
      return all
        .filter(({ startedAt }) => startedAt !== undefined)
        .sort((a, b) => (a.startedAt ?? 0) - (b.startedAt ?? 0))
        .map(({ deliveryId }) => deliveryId);
    };
    await waitFor(async () => (await started()).length >= 3, { message: 'the first have started' });
    const stat = await add('stat');
    const addedAt = Date.now();
    await worker.until(study, 'slow', 'delivered');
    const record = await waitFor(
      async () => {
        const found = await worker.operations.records.delivery(stat);
        return found?.startedAt === undefined ? undefined : found;
      },
      { message: 'the stat study starts' },
    );
    const between = (await worker.deliveries(study)).filter(
      ({ deliveryId, startedAt = 0 }) =>
        background.has(deliveryId) && startedAt > addedAt && startedAt < (record.startedAt ?? 0),
    );
    // The one that was taken up at that very moment.
    expect(between.length).toBeLessThanOrEqual(1);

    const urgent: string[] = [];
    const before = (await started()).filter((id) => background.has(id)).length;
    const urgentWaiting = async (): Promise<number> =>
      (await worker.operations.queues.target('slow').getCountsPerPriority([20]))['20'] ?? 0;
    while (urgent.length < 60) {
      await waitFor(async () => (await urgentWaiting()) < 10, { message: 'urgent ones start' });
      urgent.push(await add('urgent'));
    }
    await waitFor(async () => (await started()).filter((id) => urgent.includes(id)).length >= 40, {
      message: 'urgent ones run',
    });
    const order = await started();
    const lastUrgent = order.findLastIndex((id) => urgent.includes(id));
    const moved = order.slice(0, lastUrgent).filter((id) => background.has(id)).length - before;
    expect(moved).toBeGreaterThanOrEqual(3);
    await enqueuer.close();
  });
});

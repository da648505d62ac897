import { waitFor } from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startDispatch } from './support/start-dispatch.ts';
import { startSystem } from './support/system.ts';
import { startTwoHosts, whyNoHosts } from './support/two-hosts.ts';

const reason = await whyNoHosts();
if (reason !== undefined) console.warn(`two dispatchers on two hosts: skipped, ${reason}`);

describe.skipIf(reason !== undefined)('two dispatchers on two hosts', () => {
  it('share one queue; if one host is disconnected the other completes all, and only instances in transit are sent twice', async () => {
    const studies = 10;
    const instances = 25;
    await using system = await startSystem();
    await using scp = await startFaultScp();
    await using net = await startTwoHosts();
    const [orthancAt, redisAt, scpAt] = [
      await net.publish(Number(new URL(system.orthanc.url).port)),
      await net.publish(system.redis.port),
      await net.publish(scp.port),
    ];
    const config = {
      ...system.config({ pacs: pacsTarget({ ...scpAt, aet: scp.aet }, { maxParallel: 1, concurrency: 4 }) }),
      sources: { main: { url: `http://${orthancAt.host}:${orthancAt.port}`, pollInterval: '200ms' } },
      redis: { url: `redis://${redisAt.host}:${redisAt.port}` },
      dispatcher: { concurrency: 2, lockTime: '30s' },
    };
    const [hostA, hostB] = net.hosts;
    await using router = await startDispatch({ command: 'router', config });
    await using a = await startDispatch({ command: 'dispatcher', config, host: hostA });
    await using b = await startDispatch({ command: 'dispatcher', config, host: hostB });
    scp.delayMs = 20;
    const output = (): string => `${router.output()}\n-- a\n${a.output()}\n-- b\n${b.output()}`;
    const uploaded = [];
    for (let seed = 0; seed < studies; seed += 1)
      uploaded.push(
        await system.upload({ seed: `two hosts ${seed}`, instancesPerSeries: instances, rows: 16, columns: 16 }),
      );

    const workersOf = async (state: 'active' | 'delivered'): Promise<Set<string>> =>
      new Set((await system.records.deliveries({ state, limit: 100 })).records.map(({ worker }) => worker ?? ''));
    // Both have work, and some of it is done.
    await waitFor(async () => (await workersOf('active')).size === 2 && scp.stores.length > 60, {
      message: output,
    });
    await hostA.cut();
    for (const study of uploaded)
      await system.untilDelivery(study, 'pacs', ['delivered']).catch((error: unknown) => {
        throw new Error(output(), { cause: error });
      });
    const all = new Map(uploaded.flatMap(({ datasets }) => [...datasets]));
    expect(scp.accepted()).toEqual(all);
    // Two deliveries of the lost host, one association each, two instances on an association.
    const inFlight = 4;
    expect(scp.stores.length).toBeLessThanOrEqual(studies * instances + inFlight);

    // The host returns: it finds that its deliveries belong to another host, and sends nothing on its own.
    await hostA.heal();
    await waitFor(async () => (await a.get('/readyz')).status === 200, { message: output });
    const more = await system.upload({ seed: 'after the cut', instancesPerSeries: 3 });
    await system.untilDelivery(more, 'pacs', ['delivered']);
    expect(scp.stores.length).toBeLessThanOrEqual(studies * instances + 3 + inFlight);
    expect(scp.accepted().size).toBe(studies * instances + 3);
  });
});

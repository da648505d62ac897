import { startFaultProxy, startStorescp } from '@dicom-dispatch/harness';
import type { FaultProxy, StorescpServer } from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import type { Association, ConnectOptions } from 'dicom-dimse';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { VERIFICATION, contextsFor, open, sampleStudy } from './dimse-fixtures.ts';

/** A bad network between us and storescp. */
describe('a network', () => {
  const study = sampleStudy({ seed: 'network', rows: 512, columns: 512, instancesPerSeries: 6 });
  const presentationContexts = [VERIFICATION, ...contextsFor(study)];
  let scp: StorescpServer;
  let proxy: FaultProxy;

  beforeAll(async () => {
    scp = await startStorescp();
    proxy = await startFaultProxy({ port: scp.port });
  });
  afterEach(() => proxy.heal());
  afterAll(async () => {
    await proxy.stop();
    await scp.stop();
  });

  const dial = (more: Partial<ConnectOptions> = {}): Promise<Association> =>
    open({ port: proxy.port, presentationContexts, ...more });
  const storeAll = (association: Association) =>
    Promise.allSettled(study.map((instance) => association.store([instance.bytes])));
  const codesOf = (settled: readonly PromiseSettledResult<unknown>[]): unknown[] => [
    ...new Set(settled.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'stored'))),
  ];

  it('with latency is only slower', async () => {
    await proxy.set({ latencyMs: 10 });
    const association = await dial();
    expect(codesOf(await storeAll(association))).toEqual(['stored']);
    await association.release();
    expect(await association.ended).toBeUndefined();
  });

  it('that swallows everything leaves time-outs, not hangs', async () => {
    {
      using clock = stopClock();
      const association = await dial();
      await association.echo();
      await proxy.set({ blackHole: true });
      await expect(clock.passUntil(association.echo(), 10_000)).rejects.toMatchObject({ code: 'response-timeout' });
      expect((await association.ended)?.code).toBe('response-timeout');
    }
    await expect(dial({ associationTimeoutMs: 200 })).rejects.toMatchObject({ code: 'association-timeout' });
  });

  it('that is reset within a data set', async () => {
    await proxy.set({ resetAfterBytesUp: 300_000 });
    const association = await dial();
    expect(codesOf(await storeAll(association))).toEqual(['connection-closed']);
  });

  it('that is reset before a response: whether it was stored is unknown', async () => {
    const association = await dial();
    await association.echo();
    await proxy.set({ resetAfterBytesDown: 0 });
    expect(codesOf(await storeAll(association))).toEqual(['connection-closed']);
  });

  it('that is half open: one end has closed', async () => {
    const association = await dial();
    await association.echo();
    proxy.halfClose('client');
    expect(codesOf(await storeAll(association))).toEqual(['connection-closed']);

    const other = await dial();
    await other.echo();
    proxy.halfClose('server');
    const codes = codesOf(await storeAll(other));
    expect(codes).toHaveLength(1);
    expect(codes[0]).toMatch(/^(connection-closed|aborted|response-timeout|send-timeout)$/);
  });

  it('that rejects connections', async () => {
    await proxy.set({ refuse: true });
    await expect(dial()).rejects.toMatchObject({ code: 'connect-refused' });
  });
});

import { DispatchError, errorCodes, type TargetConfig } from '@dicom-dispatch/core';
import { waitFor } from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allChecks } from './all-checks.ts';
import { expectNoError, expectReadable, factsOf, hostileStudy, secretsOf, sum } from './expectations.ts';
import { fixtureStudy, largeStudy, type FixtureStudy } from './fixture-study.ts';
import type { HandlerContract, StartedTarget } from './handler-contract-options.ts';
import { hostileTags } from './hostile-tags.ts';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { settles } from './settles.ts';

/** The contract of every handler, tested with a real server. Call it in the handler's test file. */
export function handlerContract<Config extends TargetConfig>(contract: HandlerContract<Config>): void {
  const { handler, keeps = 'file' } = contract;
  describe(`${contract.name} fulfils the contract`, () => {
    let target: StartedTarget;
    beforeAll(async () => {
      target = await contract.start();
    });
    afterAll(async () => {
      await target?.stop();
    });

    const parse = (more: Readonly<Record<string, unknown>> = {}): Config =>
      handler.schema.parse({ ...target.config, ...more });

    async function expectArrived(study: FixtureStudy): Promise<void> {
      const there = Map.groupBy(await target.received(study), ({ sopInstanceUid }) => sopInstanceUid);
      for (const instance of study.instances) {
        const expected = await instance.facts();
        const found = there.get(expected.sopInstanceUid) ?? [];
        expect(found.length, `copies of ${expected.sopInstanceUid}`).toBe(1);
        if (keeps === 'file') expect(found[0]?.fileDigest).toBe(expected.fileDigest);
        else expect(found[0]?.datasetDigest).toBe(expected.datasetDigest);
      }
    }

    async function expectNoLitter(): Promise<void> {
      expect((await target.litter?.()) ?? []).toEqual([]);
    }

    it('all instances arrive identical, each confirmed once, and the stages go forward', async () => {
      const study = fixtureStudy({ seed: `${contract.name} all`, instancesPerSeries: 5 });
      const delivery = new TestDelivery(handler, study);
      const attempt = await delivery.attempt(parse());
      expectNoError(attempt);
      expect([...attempt.reported.values()].map(({ kind }) => kind)).toEqual(study.instances.map(() => 'delivered'));
      expect(attempt.stages.slice(0, 2)).toEqual(['connect', 'transfer']);
      expect(attempt.sentBytes).toBeGreaterThanOrEqual(sum(study.instances.map(({ manifest }) => manifest.sizeBytes)));
      expect(delivery.openNow).toBe(0);
      await expectArrived(study);
      await expectNoLitter();
    });

    it('a retry after the source broke in the middle sends only the rest and leaves no half files', async () => {
      const study = fixtureStudy({ seed: `${contract.name} retry`, instancesPerSeries: 4 });
      const delivery = new TestDelivery(handler, study);
      const first = await delivery.attempt(parse(), {
        async onChunk({ openIndex, readBytes }) {
          if (openIndex !== 5 || readBytes === 0) return;

          throw new DispatchError('source-error', 'the source closed the connection');
        },
      });
      expect(first.error).toMatchObject({ code: 'source-error', fault: 'source' });
      const whole = new Map(await Promise.all(study.instances.map(async (one) => factsOf(one, keeps))));
      for (const found of await target.received(study)) {
        const expected = whole.get(found.sopInstanceUid);
        if (expected) expect(keeps === 'file' ? found.fileDigest : found.datasetDigest).toBe(expected);
      }
      const missing = delivery.pending.map(({ sopInstanceUid }) => sopInstanceUid);
      expect(missing.length).toBeGreaterThan(0);
      const second = await delivery.attempt(parse());
      expectNoError(second);
      expect([...second.opened].sort()).toEqual([...missing].sort());
      await expectArrived(study);
      await expectNoLitter();
    });

    it('a source that fails at its very end, before its last bytes, leaves nothing confirmed and nothing there', async () => {
      const study = fixtureStudy({ seed: `${contract.name} very end`, series: 1, instancesPerSeries: 3 });
      const delivery = new TestDelivery(handler, study);
      const failed: string[] = [];
      const first = await delivery.attempt(parse(), {
        onEnd({ openIndex, instance }) {
          if (openIndex !== 1) return;
          failed.push(instance.sopInstanceUid);
          throw new DispatchError('source-error', 'the source gave other bytes than it lists');
        },
      });
      expect(first.error).toMatchObject({ code: 'source-error' });
      expect(failed).toHaveLength(1);
      expect(first.reported.get(failed[0]!)).toBeUndefined();
      // A receiver may still be removing incomplete data.
      const isThere = async () =>
        (await target.received(study)).some(({ sopInstanceUid }) => sopInstanceUid === failed[0]);
      await waitFor(async () => !(await isThere()));
      expectNoError(await delivery.attempt(parse()));
      await expectArrived(study);
      await expectNoLitter();
    });

    it('a second delivery of the same content changes nothing', async () => {
      const study = fixtureStudy({ seed: `${contract.name} twice` });
      expectNoError(await new TestDelivery(handler, study, 'first').attempt(parse()));
      const [before, names] = [await target.fingerprint?.(), await target.names?.()];
      const again = new TestDelivery(handler, study, 'second');
      expectNoError(await again.attempt(parse()));
      expect(again.pending).toEqual([]);
      expect(await target.fingerprint?.()).toEqual(before);
      expect([...((await target.names?.()) ?? [])].sort()).toEqual([...(names ?? [])].sort());
      await expectArrived(study);
    });

    it('quarantines an instance that the source no longer has, and continues', async () => {
      const study = fixtureStudy({ seed: `${contract.name} gone` });
      const gone = study.instances[2]?.manifest.sopInstanceUid;
      const delivery = new TestDelivery(handler, {
        ...study,
        instances: study.instances.filter((_, index) => index !== 2),
      });
      const attempt = await delivery.attempt(parse(), {
        run: { pending: study.instances.map(({ manifest }) => manifest) },
      });
      expectNoError(attempt);
      expect(attempt.reported.get(gone ?? '')).toMatchObject({
        kind: 'quarantined',
        error: { code: 'source-instance-gone' },
      });
      expect(attempt.reported.size).toBe(study.instances.length);
    });

    it('a cancelled delivery settles while the source hangs, and leaves nothing half behind', async ({ annotate }) => {
      const study = fixtureStudy({ seed: `${contract.name} cancel` });
      const delivery = new TestDelivery(handler, study);
      const stop = new AbortController();
      const attempting = delivery.attempt(parse(), {
        signal: stop.signal,
        onChunk({ openIndex, readBytes }) {
          if (openIndex !== 1 || readBytes === 0) return;
          queueMicrotask(() => stop.abort());
          return new Promise(() => {});
        },
      });
      const { attempt, settledMs } = await settles(attempting, stop.signal);
      await annotate(`settled ${settledMs} ms after the cancellation`);
      expect(attempt.error).toMatchObject({ code: 'cancelled' });
      expectNoError(await delivery.attempt(parse()));
      expect(delivery.late).toEqual([]);
      await expectArrived(study);
      await expectNoLitter();
    });

    const { hangs } = contract.faults;
    if (!('notApplicable' in hangs)) {
      it('a cancelled delivery settles while the target hangs, and sends nothing more', async ({ annotate }) => {
        const study = fixtureStudy({ seed: `${contract.name} cancel hung` });
        const delivery = new TestDelivery(handler, study);
        const arranged = await hangs.arrange(target);
        const stop = new AbortController();
        let struck = false;
        try {
          // The timeouts of the target have their defaults: only the cancellation ends this attempt.
          const attempting = delivery.attempt(parse(arranged.patientConfig), {
            signal: stop.signal,
            async onChunk({ openIndex, readBytes }) {
              if (struck || openIndex !== 1 || readBytes === 0) return;
              struck = true;
              await arranged.strike?.();
              void (arranged.inForce?.() ?? nextTurn()).then(() => stop.abort());
            },
          });
          const { attempt, settledMs } = await settles(attempting, stop.signal);
          await annotate(`settled ${settledMs} ms after the cancellation`);
          expect(attempt.error).toMatchObject({ code: 'cancelled' });
          expect(delivery.openNow).toBe(0);
        } finally {
          await arranged.undo?.();
        }
        const next = arranged.elsewhere ? new TestDelivery(handler, study) : delivery;
        expectNoError(await next.attempt(parse()));
        expect(delivery.late).toEqual([]);
        await expectArrived(study);
        await expectNoLitter();
      });
    }

    it('a delivery that is cancelled before it begins sends nothing', async () => {
      const delivery = new TestDelivery(handler, fixtureStudy({ seed: `${contract.name} never` }));
      const attempt = await delivery.attempt(parse(), { signal: AbortSignal.abort() });
      expect(attempt.error).toMatchObject({ code: 'cancelled' });
      expect(attempt.reported.size).toBe(0);
    });

    for (const [name, fault] of Object.entries(contract.faults)) {
      if ('notApplicable' in fault) {
        it(`${name}: cannot happen here, ${fault.notApplicable}`, () => {});
        continue;
      }
      it(`${name}: ${fault.code} in ${fault.stage}, in words an operator understands; works again afterwards`, async () => {
        const study = fixtureStudy({ seed: `${contract.name} ${name}` });
        const delivery = new TestDelivery(handler, study);
        const arranged = await fault.arrange(target);
        let struck = false;
        const inForce = Promise.withResolvers<void>();
        if (arranged.strike === undefined) void arranged.inForce?.().then(inForce.resolve);
        try {
          using clock = fault.stopsClock ? stopClock() : undefined;
          const config = parse(arranged.config);
          const attempting = delivery.attempt(config, {
            async onChunk({ openIndex, readBytes }) {
              if (struck || openIndex !== 1 || readBytes === 0) return;
              struck = true;
              await arranged.strike?.();
              void (arranged.inForce?.() ?? nextTurn()).then(inForce.resolve);
            },
          });
          if (clock) await Promise.race([inForce.promise, attempting]);
          const attempt = await (clock?.passUntil(attempting, 5_000) ?? attempting);
          expect(attempt.error, `${name} was not noticed`).toBeDefined();
          expect(attempt.error).toMatchObject({
            code: fault.code,
            stage: fault.stage,
            disposition: fault.disposition ?? errorCodes[fault.code].disposition,
          });
          expectReadable(attempt, study, config);
          expect(delivery.openNow).toBe(0);
        } finally {
          await arranged.undo?.();
        }
        const next = arranged.elsewhere ? new TestDelivery(handler, study) : delivery;
        expectNoError(await next.attempt(parse()));
        await expectArrived(study);
        await expectNoLitter();
      });
    }

    if ('notApplicable' in contract.hostile) {
      it(`hostile tags: not in names here, ${contract.hostile.notApplicable}`, () => {});
    } else {
      const { config } = contract.hostile;
      it('hostile tags never leave the folder or prefix, and remain readable', async () => {
        const before = new Set(await target.names?.());
        const cases = hostileTags.map((hostile) => ({ ...hostile, study: hostileStudy(contract.name, hostile) }));
        const queue = [...cases];
        const deliverAll = async (): Promise<void> => {
          for (let next = queue.shift(); next; next = queue.shift()) {
            expectNoError(await new TestDelivery(handler, next.study, next.name).attempt(parse(config)));
          }
        };
        await Promise.all([deliverAll(), deliverAll(), deliverAll()]);
        const made = ((await target.names?.()) ?? []).filter((one) => !before.has(one));
        for (const path of made) expect(path).not.toMatch(/(^|\/)\.\.?(\/|$)|^\/|\\|\p{Cc}|\p{Cs}/u);
        for (const { name, readable, study } of cases) {
          await expectArrived(study);
          if (!target.names) continue;
          const uid = study.instances[0]?.manifest.sopInstanceUid ?? '';
          const paths = made.filter((path) => path.includes(uid)).map((path) => path.normalize('NFC'));
          expect(paths, name).toEqual([expect.stringContaining(readable)]);
        }
      });
    }

    // The memory used for a gigabyte is tested in large-delivery.test.ts.
    const largeBytes = contract.largeBytes ?? 60_000_000;
    it(`an instance of ${largeBytes / 1_000_000} MB arrives identical`, async () => {
      const study = largeStudy(largeBytes);
      expectNoError(await new TestDelivery(handler, study).attempt(parse()));
      await expectArrived(study);
    });

    it('every check of testConnection passes, and fails for its own fault in this suite', async () => {
      const checks = await allChecks(handler, parse());
      for (const check of checks) {
        expect(check, check.detail).toMatchObject({ result: 'passed' });
        expect(check.durationMs).toBeGreaterThanOrEqual(0);
      }
      expect(checks.map(({ name }) => name).sort()).toEqual(Object.keys(contract.checks).sort());
      await expectNoLitter();
    });

    for (const [name, fault] of Object.entries(contract.checks)) {
      if ('notApplicable' in fault) {
        it(`check ${name}: cannot be made to fail, ${fault.notApplicable}`, () => {});
        continue;
      }
      const result = fault.isSkipped === true ? 'skipped' : 'failed';
      it(`check ${name} is ${result} for its own reason, with a remedy`, async () => {
        const arranged = await fault.arrange(target);
        try {
          const config = parse(arranged.config);
          const checks = await allChecks(handler, config);
          const failed = checks.filter((check) => check.result === 'failed');
          const found = fault.isSkipped === true ? checks.filter((check) => check.result === 'skipped') : failed;
          expect(found.map((check) => `${check.name}: ${check.detail}`)).toEqual([
            expect.stringMatching(new RegExp(`^${name}: `)),
          ]);
          expect(fault.isSkipped === true ? failed : []).toEqual([]);
          if (fault.isSkipped !== true) expect(failed[0]?.remedy).toMatch(/\w{3}/);
          expect(found[0]?.detail).toMatch(/\w{3}/);
          for (const secret of secretsOf(config)) expect(JSON.stringify(checks)).not.toContain(secret);
        } finally {
          await arranged.undo?.();
        }
        await expectNoLitter();
      });
    }
  });
}

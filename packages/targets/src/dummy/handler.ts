import { setTimeout as pause } from 'node:timers/promises';
import {
  contractVersion,
  type DeliveryRun,
  type InstanceOutcome,
  type TargetHandler,
} from '@dicom-dispatch/target-kit';
import { borrowed, inLanes, throwIfCancelled } from '@dicom-dispatch/target-kit/flow';
import { dummyAbout } from './about.ts';
import { draw } from './draw.ts';
import { refused, staged } from './errors.ts';
import { dummyTarget, type DummyTarget } from './schema.ts';
import { testDummy } from './test-connection.ts';

export const dummyHandler: TargetHandler<DummyTarget> = {
  contractVersion,
  type: 'dummy',
  about: dummyAbout,
  schema: dummyTarget,
  deliver,
  testConnection: testDummy,
  inventory: async () => ({
    async *list({ instances }) {
      for (const instance of instances) yield { kind: 'held', instance };
    },
    async close() {},
  }),
};

/**
 * Passes the stages without a server. Whether an attempt fails depends on the seed, the delivery and the attempt;
 * whether an instance is rejected depends on the seed and the instance.
 */
async function deliver(run: DeliveryRun<DummyTarget>): Promise<void> {
  const { config, pending } = run;
  const failStage = draw(config.seed, run.deliveryId, run.attempt) < config.failureRate ? config.failStage : undefined;

  run.stage('connect');
  await wait(config.connectDelay, run.signal);
  if (failStage === 'connect') throw staged(config);

  run.stage('transfer');
  if (failStage === 'transfer') {
    await take(run, pending.slice(0, Math.floor(pending.length / 2)));
    throw staged(config);
  }
  await take(run, pending);

  run.stage('verify');
  if (failStage === 'verify') {
    const error = staged(config);
    // An attempt with a missing instance leaves it missing, so that the next one has something to send.
    const first = pending[0];
    if (error.code === 'verify-missing' && first) await run.revoke(first);
    throw error;
  }

  run.stage('finalize');
  if (failStage === 'finalize') throw staged(config);
}

async function take(run: DeliveryRun<DummyTarget>, instances: DeliveryRun<DummyTarget>['pending']): Promise<void> {
  const { config } = run;
  await inLanes(run, { lanes: 1, instances }, async ({ instance, bytes }, { signal }): Promise<InstanceOutcome> => {
    await wait(config.delay, signal);
    if (config.read) for await (const _chunk of borrowed(bytes));
    const refuses = draw(config.seed, instance.sopInstanceUid) < config.quarantineRate;
    return refuses ? { kind: 'quarantined', error: refused() } : { kind: 'delivered', answer: 'accepted' };
  });
}

async function wait(delayMs: number, signal: AbortSignal): Promise<void> {
  if (delayMs > 0) await pause(delayMs, undefined, { signal }).catch(() => undefined);
  throwIfCancelled(signal);
}

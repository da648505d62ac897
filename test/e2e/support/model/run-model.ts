import { startRedis } from '@dicom-dispatch/harness';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import * as fc from 'fast-check';
import { checkDeliveries } from './check-deliveries.ts';
import { Model } from './model.ts';
import { found, steps } from './steps.ts';

/**
 * Runs interleavings against a real Redis, with the real actions of dispatchers, operators and Bull Board. After each one,
 * Redis is up again, the router routes again what it could not, and a reconciliation runs; then every open delivery has a
 * live job, a time at which it continues, or an operator for whom it waits, and nothing is lost.
 */
export async function runModel(runs: number, seed?: number): Promise<void> {
  await using server = await startRedis({ appendonly: false });
  const log = createLogger('model', { level: 'fatal', format: 'json' });
  /** The product's connection, and one that is never lost, for the model itself. */
  const [redis, witness] = [connectRedis(server.url, 'model', log), connectRedis(server.url, 'witness', log)];
  const model = new Model(redis, witness, log);
  try {
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        await model.begin();
        for (const step of script) await model.happen(step);
        await model.settle();
        await checkDeliveries(model);
      }),
      { numRuns: runs, examples: [...found], ...(seed !== undefined && { seed }) },
    );
  } finally {
    await model.close();
    redis.disconnect();
    witness.disconnect();
  }
}

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { reconcile } from './reconcile.ts';
import type { ReconcileContext } from './reconcile-context.ts';

export interface ReconcilerOptions {
  /** How often one of all processes makes a pass. Default a minute. */
  readonly everyMs?: number;
}

/**
 * Makes a pass of reconciliation every minute: of all dispatchers and routers the one that is quickest to take the lease.
 * Two passes at a time do no harm.
 */
export function startReconciler(
  context: ReconcileContext,
  { everyMs = 60_000 }: ReconcilerOptions = {},
): { stop(): void } {
  const { redis, config, log } = context;
  const token = `${hostname()}:${process.pid} ${randomUUID()}`;
  let isBusy = false;
  const timer = setInterval(() => void look(), everyMs / 6);
  timer.unref();
  return { stop: () => clearInterval(timer) };

  async function look(): Promise<void> {
    if (isBusy || redis.status !== 'ready') return;
    isBusy = true;
    try {
      const key = redisKeys(config().redis.prefix).reconcileLease;
      // It is not given back: its end is when the next pass begins.
      if ((await redis.set(key, token, 'PX', Math.ceil((everyMs * 5) / 6), 'NX')) !== 'OK') return;
      const { repairs, problems } = await reconcile(context);
      if (repairs.size > 0) log.warn({ repairs: Object.fromEntries(repairs) }, 'records and jobs were reconciled');
      const failed = [...problems.values()].filter(({ kind }) => kind === 'failed');
      if (failed.length > 0) log.error({ failed }, 'reconciliation could not look at everything');
    } catch (error) {
      log.warn({ err: error }, 'reconciliation failed; trying again');
    } finally {
      isBusy = false;
    }
  }
}

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { defineScript } from '@dicom-dispatch/state/redis';
import { reconcile } from './reconcile.ts';
import type { ReconcileContext } from './reconcile-context.ts';

/**
 * KEYS: lease. ARGV: token, ms. Returns 1 if it was acquired. A remaining time above the maximum is from a time when the
 * clock of Redis was ahead.
 */
const leaseScript = defineScript(`
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) end
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') and 1 or 0
`);

export interface ReconcilerOptions {
  /** Interval of passes, over all processes. Default: one minute. */
  readonly everyMs?: number;
}

/**
 * Runs a pass of reconciliation every minute, in the dispatcher or router that acquires the lease first.
 * Two simultaneous passes do no harm.
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
      // It is not released: the next pass begins when it expires.
      if ((await leaseScript.run(redis, [key], [token, Math.ceil((everyMs * 5) / 6)])) !== 1) return;
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

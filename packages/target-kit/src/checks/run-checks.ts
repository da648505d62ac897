import { performance } from 'node:perf_hooks';
import { asDispatchError } from '@dicom-dispatch/core';
import type { Check } from '../contract/index.ts';
import { cancelledError, until } from '../flow/index.ts';

/** One named check: returns its finding, or throws a DispatchError whose message and remedy become those of the check. */
export interface CheckStep {
  readonly name: string;
  /** Returns the finding, without secrets; `skip` with the reason if there is nothing to check. */
  run(signal: AbortSignal): Promise<string | { readonly skip: string }>;
  /** Runs although an earlier check failed: for removing a probe that was written. */
  readonly always?: boolean;
}

/**
 * Runs checks sequentially and yields each when it ends. After a failed check the others are skipped.
 *
 * @throws {DispatchError} only if the signal aborts
 */
export async function* runChecks(
  steps: Iterable<CheckStep>,
  signal: AbortSignal,
): AsyncGenerator<Check, void, undefined> {
  let failed: string | undefined;
  for (const step of steps) {
    const { name } = step;
    if (failed !== undefined && !step.always) {
      yield { name, result: 'skipped', durationMs: 0, detail: `the check ${failed} failed` };
      continue;
    }
    const start = performance.now();
    let check: Check;
    try {
      const found = await until(step.run(signal), signal);
      const durationMs = performance.now() - start;
      check =
        typeof found === 'string'
          ? { name, result: 'passed', durationMs, detail: found }
          : { name, result: 'skipped', durationMs, detail: found.skip };
    } catch (thrown) {
      if (signal.aborted) throw cancelledError(signal);
      const { message, remedy } = asDispatchError(thrown);
      check = { name, result: 'failed', durationMs: performance.now() - start, detail: message, remedy };
      failed ??= name;
    }
    yield check;
  }
}

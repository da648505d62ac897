import { performance } from 'node:perf_hooks';
import type { Check, CheckContext } from '@dicom-dispatch/target-kit';
import { staged } from './errors.ts';
import type { DummyTarget } from './schema.ts';

/** One check per stage. The one of `failStage` fails if every attempt would fail (failureRate 1); later ones are skipped. */
export async function* testDummy({ config }: CheckContext<DummyTarget>): AsyncGenerator<Check, void, undefined> {
  let failed = false;
  for (const name of ['connect', 'transfer', 'verify', 'finalize'] as const) {
    const start = performance.now();
    if (failed) {
      yield { name, result: 'skipped', durationMs: 0, detail: 'an earlier check failed' };
      continue;
    }
    failed = config.failureRate === 1 && config.failStage === name;
    const durationMs = performance.now() - start;
    if (!failed) yield { name, result: 'passed', durationMs, detail: 'the dummy target passes this stage' };
    else {
      const error = staged(config);
      yield { name, result: 'failed', durationMs, detail: error.message, remedy: error.remedy };
    }
  }
}

import { pauseTarget, resumeTarget, setTargetConcurrency, setTargetRate, testTarget } from '@dicom-dispatch/operations';
import { exitCodes } from '../exit.ts';
import { withSystem } from './with-system.ts';

interface Options {
  readonly config: string;
  readonly json?: boolean;
}

const signs = { passed: 'ok', failed: 'FAILED', skipped: 'skipped' } as const;

/** Tries the connection to a target, and tells each step as it ends. */
export async function testTargetNow(target: string, options: Options): Promise<void> {
  await withSystem(options.config, async ({ operations }) => {
    let isGood = true;
    for await (const check of testTarget(operations, target)) {
      isGood &&= check.result !== 'failed';
      if (options.json === true) console.log(JSON.stringify(check));
      else {
        console.log(`${check.name}: ${signs[check.result]} (${Math.round(check.durationMs)} ms) ${check.detail}`);
        if (check.remedy !== undefined) console.log(`  ${check.remedy}`);
      }
    }
    if (!isGood) process.exitCode = exitCodes.failed;
  });
}

export async function pauseNow(target: string, options: Options, isPause: boolean): Promise<void> {
  await withSystem(options.config, async ({ operations }) => {
    await (isPause ? pauseTarget : resumeTarget)(operations, target);
    tell(
      options,
      { target, paused: isPause },
      `${target} is ${isPause ? 'paused: what is under way ends, nothing further starts' : 'in use again'}`,
    );
  });
}

export async function limitNow(
  target: string,
  options: Options,
  limit: { readonly concurrency: number } | { readonly rate: number | undefined },
): Promise<void> {
  await withSystem(options.config, async ({ operations }) => {
    if ('concurrency' in limit) await setTargetConcurrency(operations, target, limit.concurrency);
    else await setTargetRate(operations, target, limit.rate);
    tell(options, { target, ...limit }, `the limit of ${target} is set, until the configuration is loaded again`);
  });
}

function tell(options: Options, value: object, text: string): void {
  console.log(options.json === true ? JSON.stringify(value) : text);
}

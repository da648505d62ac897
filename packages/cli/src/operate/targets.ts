import { pauseTarget, resumeTarget, setTargetConcurrency, setTargetRate } from '@dicom-dispatch/operations';
import { withSystem } from './with-system.ts';

interface Options {
  readonly config: string;
  readonly json?: boolean;
}

export async function pauseNow(target: string, options: Options, isPause: boolean): Promise<void> {
  await withSystem(options.config, async ({ operations, audited }) => {
    await audited({ action: isPause ? 'pause' : 'resume', subject: target }, () =>
      (isPause ? pauseTarget : resumeTarget)(operations, target),
    );
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
  await withSystem(options.config, async ({ operations, audited }) => {
    await audited({ action: 'concurrency' in limit ? 'set concurrency' : 'set rate', subject: target }, () =>
      'concurrency' in limit
        ? setTargetConcurrency(operations, target, limit.concurrency)
        : setTargetRate(operations, target, limit.rate),
    );
    tell(options, { target, ...limit }, `the limit of ${target} is set, until the configuration is loaded again`);
  });
}

function tell(options: Options, value: object, text: string): void {
  console.log(options.json === true ? JSON.stringify(value) : text);
}

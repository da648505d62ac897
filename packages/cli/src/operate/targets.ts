import {
  decidePlace,
  dropOrphan,
  moveOrphan,
  pauseTarget,
  resumeTarget,
  setTargetConcurrency,
  setTargetRate,
} from '@dicom-dispatch/operations';
import { confirm } from './confirm.ts';
import { withSystem } from './with-system.ts';

interface Options {
  readonly config: string;
  readonly json?: boolean;
}

export async function pauseNow(target: string, options: Options, isPause: boolean): Promise<void> {
  await withSystem(options.config, async ({ operations, audited, actor }) => {
    await audited({ action: isPause ? 'pause' : 'resume', subject: target }, () =>
      isPause ? pauseTarget(operations, target, actor) : resumeTarget(operations, target),
    );
    print(
      options,
      { target, paused: isPause },
      `${target} is ${isPause ? 'paused: running deliveries finish, no further delivery starts' : 'in use again'}`,
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
    const { concurrency: max } = operations.config().dispatcher;
    const note =
      'concurrency' in limit && limit.concurrency > max
        ? `; one dispatcher runs at most ${max} of them (dispatcher.concurrency)`
        : '';
    print(
      options,
      { target, ...limit },
      `limit of ${target} set on all dispatchers${note}. The next reload of the configuration resets it.`,
    );
  });
}

/** Decides on a target that has a new address. */
export async function decidePlaceNow(target: string, options: Options, decision: 'same' | 'new'): Promise<void> {
  await withSystem(options.config, async ({ operations, audited }) => {
    const decided = await audited({ action: 'decide place', subject: `${target} ${decision}` }, () =>
      decidePlace(operations, target, decision),
    );
    const what = decision === 'same' ? 'existing confirmations stay valid' : 'nothing is confirmed here yet';
    print(
      options,
      { target, decision, ...decided },
      `${target} is ${decided.place}: ${what}; ${decided.resumed} deliveries continue`,
    );
  });
}

/** Moves or cancels the deliveries that wait for a target that was removed from the configuration. @param to - undefined: cancels them */
export async function decideOrphanNow(
  target: string,
  options: Options & { readonly yes?: boolean },
  to: string | undefined,
): Promise<void> {
  await withSystem(options.config, async ({ operations, actor, audited }) => {
    const subject = to === undefined ? target : `${target} to ${to}`;
    if (to === undefined && options.yes !== true) {
      await confirm(`drop cancels all waiting deliveries of ${target}`);
    }
    const { done, left } = await audited({ action: to === undefined ? 'drop orphan' : 'move orphan', subject }, () =>
      to === undefined ? dropOrphan(operations, target, actor) : moveOrphan(operations, target, to, actor),
    );
    const what = to === undefined ? 'dropped' : `moved to ${to}`;
    print(
      options,
      { target, ...(to !== undefined && { to }), done, left },
      `${done} deliveries of ${target} are ${what}${left > 0 ? `; ${left} are in progress or changed meanwhile` : ''}`,
    );
  });
}

function print(options: Options, value: object, text: string): void {
  console.log(options.json === true ? JSON.stringify(value) : text);
}

import { formatBytes } from '@dicom-dispatch/core';
import { forgetStudies, type ForgetOutcome, type ForgetWish } from '@dicom-dispatch/operations';
import { CommandError, exitCodes } from '../exit.ts';
import { damagedWords } from './damaged-words.ts';
import { confirm } from './confirm.ts';
import { withSystem } from './with-system.ts';

export interface ForgetOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly source?: string;
  /** ms since 1970 */
  readonly until?: number;
  readonly failed?: boolean;
}

const reasons: Readonly<Record<keyof ForgetOutcome['kept'], string>> = {
  'in-source': 'still in the source',
  open: 'waiting or in progress',
  failed: 'failed (--failed includes them)',
  recent: 'changed since',
  waiting: 'not complete for a rule',
  needed: 'copied to another source, which has it',
  busy: 'being routed, or with unfinished jobs',
  damaged: 'with a damaged record',
  lost: 'led by another router',
  forgotten: 'forgotten',
  unknown: 'not known',
};

/** Removes data of studies that have left their source: named ones, or all without changes since a time. */
export async function forgetNow(ids: readonly string[], options: ForgetOptions): Promise<void> {
  const { source, until, failed, json } = options;
  if (ids.length === 0 && until === undefined) {
    throw new CommandError(
      'give studies by their UID or Orthanc id, or use --until, e.g. --until 365d',
      exitCodes.usage,
    );
  }
  const wish: ForgetWish = { source, until, failed, ...(ids.length > 0 && { studies: ids }) };
  await withSystem(options.config, async (system) => {
    const client = (name: string): ReturnType<typeof system.lookup.client> => system.lookup.client(name);
    const foreseen = await forgetStudies(system.operations, wish, client, true);
    if (options.dryRun === true) {
      console.log(json === true ? JSON.stringify(foreseen) : summary('this would forget', foreseen));
      return;
    }
    if (foreseen.forgotten > 0 && options.yes !== true) await confirm(summary('this forgets', foreseen));
    const subject = ids.length > 0 ? ids.join(' ') : JSON.stringify({ source, until, failed });
    const { bytes: _, ...done } = await system.audited({ action: 'forget', subject }, () =>
      forgetStudies(system.operations, wish, client, false),
    );
    console.log(json === true ? JSON.stringify(done) : summary('forgotten:', { ...done, bytes: 0 }));
    if (ids.length > 0 && done.forgotten < ids.length) process.exitCode = exitCodes.failed;
  });
}

function summary(start: string, { forgotten, deliveries, bytes, kept, damaged }: ForgetOutcome): string {
  const size = bytes > 0 ? `, about ${formatBytes(bytes)}` : '';
  const others = Object.entries(kept).map(([why, count]) => `${count} ${reasons[why as keyof typeof reasons]}`);
  const rest = others.length > 0 ? `; kept: ${others.join(', ')}` : '';
  return `${start} ${forgotten} ${forgotten === 1 ? 'study' : 'studies'} with ${deliveries} ${deliveries === 1 ? 'delivery' : 'deliveries'}${size}${rest}${damagedWords(damaged)}`;
}

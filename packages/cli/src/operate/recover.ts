import { formatDuration } from '@dicom-dispatch/core';
import { answerLoss, readLossReport, type LossReport } from '@dicom-dispatch/operations';
import { lossWords } from '@dicom-dispatch/runtime';
import { withSystem } from './with-system.ts';

export interface RecoverOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly from?: string;
  readonly source?: string;
}

/**
 * Sets where unknown sources begin after Redis lost its data. Without `from`: shows the last loss, and the recovery.
 */
export async function recoverNow(options: RecoverOptions): Promise<void> {
  await withSystem(options.config, async ({ operations, audited }) => {
    const { from, source } = options;
    if (from === undefined) {
      const report = await readLossReport(operations);
      console.log(options.json === true ? JSON.stringify(report) : wordsOf(report));
      return;
    }
    await audited({ action: 'recover', subject: source ?? '' }, () => answerLoss(operations, from, source));
    console.log(`the router starts ${source === undefined ? 'all sources without known state' : source} from ${from}`);
  });
}

function wordsOf({ lost, asks, recovered }: LossReport): string {
  if (asks.length > 0) {
    return `it is unknown what was routed from ${asks.join(', ')}: choose where to start with dispatch recover --from TIME`;
  }
  if (lost) return `${lossWords[lost.kind]}; noticed at ${time(lost.at)}. A router recovers the data when it runs`;
  if (!recovered) return 'no data loss is known';
  const { at, loss, notesAgeMs, sources } = recovered;
  const what = {
    gone: 'all data was lost',
    older: 'the data was from an earlier time',
    another: 'the data was from another system',
  };
  const notes =
    notesAgeMs === undefined
      ? 'without notes of a router'
      : `with notes ${formatDuration(notesAgeMs)} older than the loss`;
  return [
    `${what[loss]}; recovered at ${time(at)} ${notes}`,
    ...Object.entries(sources).map(([name, one]) => `  source ${name}: ${sourceWords(one)}`),
  ].join('\n');
}

type SourceReport = NonNullable<LossReport['recovered']>['sources'][string];

function sourceWords({ how, seq = 0, open, ended }: SourceReport): string {
  switch (how) {
    case 'notes': {
      const had = ended > 0 ? `, ${ended} deliveries had ended` : '';
      return `continues at change ${seq} as noted; ${open} studies that had not arrived everywhere are routed again${had}`;
    }
    case 'kept':
      return `continues at change ${seq}, where the data ends; studies that were routed since then are routed again, and studies that arrived since then are sent again`;
    case 'answered':
      return 'starts where an operator chose; studies that arrived since then are sent again';
    case 'new':
      return 'was not followed before';
  }
}

function time(at: number): string {
  return new Date(at).toISOString();
}

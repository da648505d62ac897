import { reloadEverywhere, type ReloadResult } from '@dicom-dispatch/runtime';
import { exitCodes } from '../exit.ts';
import { formatTable } from './print-table.ts';
import { withSystem } from './with-system.ts';

/** Makes all services read their configuration again, each its own file. It is applied by all of them, or by none. */
export async function reloadNow(options: { readonly config: string; readonly json?: boolean }): Promise<void> {
  await withSystem(options.config, async ({ redis, config, audited }) => {
    const { prefix } = config().redis;
    const result = await audited({ action: 'reload configuration', subject: '' }, () =>
      reloadEverywhere(redis, prefix),
    );
    console.log(options.json === true ? JSON.stringify(result, undefined, 2) : format(result));
    if (result.outcome === 'refused') process.exitCode = exitCodes.usage;
    else if (result.outcome !== 'applied') process.exitCode = exitCodes.unreachable;
  });
}

function format({ outcome, answers, missing }: ReloadResult): string {
  const rows = answers.map((one) => [
    one.services.join(', '),
    one.process,
    one.outcome,
    one.restart.length > 0 ? `after the next start: ${one.restart.join(', ')}` : '',
  ]);
  const texts = {
    applied: 'all services use their configuration files now',
    refused: 'rejected: the previous configuration stays in use everywhere',
    partial: 'not all services use their new files',
    silent: 'no service responds',
  } as const;
  return [
    texts[outcome],
    ...(rows.length > 0 ? ['', formatTable(['services', 'process', 'result', 'remark'], rows)] : []),
    ...answers.flatMap(({ reasons, process: name }) => reasons.map((reason) => `! ${name}: ${reason}`)),
    ...[...new Set(answers.flatMap(({ notes }) => notes))].map((note) => `! ${note}`),
    ...(missing > 0 ? [`! ${missing} processes have not responded`] : []),
  ].join('\n');
}

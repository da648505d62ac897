import { runDry } from '@dicom-dispatch/console/views';
import { readConfig } from '../read-config.ts';
import { formatTable } from './print-table.ts';
import { show, type ShowOptions } from './show.ts';

/** The rules as configured, or what they would do with a study. Nothing is sent. */
export async function showRules(study: string | undefined, options: ShowOptions): Promise<void> {
  if (study === undefined) {
    const { rules } = await readConfig(options.config);
    const rows = rules.map((rule) => [
      rule.name,
      rule.enabled ? 'on' : 'off',
      rule.when ?? 'every study',
      rule.targets.join(', '),
    ]);
    console.log(
      options.json === true
        ? JSON.stringify(rules, undefined, 2)
        : formatTable(['rule', 'state', 'when', 'targets'], rows),
    );
    return;
  }
  await show(
    options,
    (system) => runDry(system, { search: study }),
    (run) =>
      [
        `${run.studyInstanceUid} (${run.instanceCount} instances, in ${run.source})`,
        run.targets.length > 0
          ? `would go to ${run.targets.join(', ')} with priority ${run.priority}`
          : 'would go nowhere: no rule matches',
        '',
        formatTable(
          ['rule', 'verdict', 'because', 'targets'],
          run.verdicts.map((one) => [
            one.rule,
            one.matched ? 'matches' : 'does not',
            one.because,
            one.targets.join(', '),
          ]),
        ),
      ].join('\n'),
  );
}

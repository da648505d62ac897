import { compileRules } from '../../rules/compile-rules.ts';
import type { Config } from '../config-schema.ts';
import type { Problem } from '../problem.ts';

/** Rules configured to start early that start when the study is stable. */
export function startWarnings(config: Config): Problem[] {
  const compiled = compileRules(config.rules, config);
  return compiled.flatMap(({ name, config: rule, whyStable }): Problem[] => {
    if (whyStable === undefined) return [];
    const index = config.rules.findIndex((one) => one.name === name);
    return [
      {
        path: ['rules', index, 'start'],
        message: `the rule starts when the study is stable, not at "${rule.start}": ${whyStable}`,
      },
    ];
  });
}

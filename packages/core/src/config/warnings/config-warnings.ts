import type { Config } from '../config-schema.ts';
import type { Problem } from '../problem.ts';
import { exposureWarnings } from './exposure-warnings.ts';
import { expressionWarnings } from './expression-warnings.ts';
import { priorsWarnings } from './priors-warnings.ts';
import { ruleOrderWarnings, unusedWarnings } from './rule-warnings.ts';
import { startWarnings } from './start-warnings.ts';
import { tlsWarnings } from './tls-warnings.ts';

function sameSources({ sources }: Config): Problem[] {
  const known = new Map<string, string>();
  return Object.entries(sources).flatMap(([name, { url }]): Problem[] => {
    const place = url.replace(/\/+$/, '');
    const other = known.get(place);
    known.set(place, other ?? name);
    if (other === undefined) return [];
    const message = `is also the address of the source ${other}: one Orthanc must be one source, and this source is not followed`;
    return [{ path: ['sources', name, 'url'], message }];
  });
}

/**
 * What a configuration allows and its author has hardly meant: doors that stand open, rules that can never match, targets
 * that get nothing. A service starts all the same; `config check` names each with its place, why, and what to do.
 */
export function configWarnings(config: Config): Problem[] {
  return [
    ...exposureWarnings(config),
    ...tlsWarnings(config),
    ...sameSources(config),
    ...expressionWarnings(config),
    ...ruleOrderWarnings(config),
    ...unusedWarnings(config),
    ...startWarnings(config),
    ...priorsWarnings(config),
  ];
}

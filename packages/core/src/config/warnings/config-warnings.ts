import type { Config } from '../config-schema.ts';
import type { Problem } from '../problem.ts';
import { doubtfulValues } from './doubtful-values.ts';
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

/** Disabled sources whose studies are all there is to route, for the system or for a rule. */
function disabledSources({ sources, rules }: Config): Problem[] {
  const isOff = (name: string): boolean => sources[name]?.enabled === false;
  if (Object.keys(sources).every(isOff))
    return [
      { path: ['sources'], message: 'every source is disabled (enabled: false): studies are only sent manually' },
    ];
  const message = 'only disabled sources: the rule applies to no new study until one of them is enabled';
  return rules.flatMap((rule, index): Problem[] =>
    rule.enabled && rule.sources?.every(isOff) ? [{ path: ['rules', index, 'sources'], message }] : [],
  );
}

const dayMs = 86_400_000;

/** Start dates after tomorrow (UTC): tomorrow may already be today in another time zone. */
function futureStarts({ sources }: Config): Problem[] {
  const tomorrow = new Date(Date.now() + dayMs).toISOString().slice(0, 10);
  return Object.entries(sources).flatMap(([name, { startFrom }]): Problem[] => {
    if (startFrom === 'now' || startFrom === 'everything' || startFrom <= tomorrow) return [];
    const message = `${startFrom} is in the future: a source that is first followed with it routes no study that becomes stable before that date; use now, everything or an earlier date`;
    return [{ path: ['sources', name, 'startFrom'], message }];
  });
}

/**
 * Valid but probably unintended configurations: open access, rules that can never match, targets without
 * studies. A service starts nevertheless; `config check` names each with its place, the reason, and a remedy.
 */
export function configWarnings(config: Config): Problem[] {
  return [
    ...exposureWarnings(config),
    ...tlsWarnings(config),
    ...sameSources(config),
    ...disabledSources(config),
    ...futureStarts(config),
    ...expressionWarnings(config),
    ...ruleOrderWarnings(config),
    ...unusedWarnings(config),
    ...startWarnings(config),
    ...priorsWarnings(config),
    ...doubtfulValues(config),
  ];
}

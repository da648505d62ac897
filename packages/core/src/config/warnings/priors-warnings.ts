import { priorsFromSource } from '../priors-config.ts';
import type { Config } from '../config-schema.ts';
import type { Problem } from '../problem.ts';

/** Built-in target types that support search and retrieval. */
export const typesThatCanBeAsked: Readonly<Record<string, boolean>> = {
  azure: false,
  dicom: true,
  'dicom-tls': true,
  dicomweb: true,
  dummy: false,
  folder: false,
  orthanc: true,
  rsync: false,
  s3: false,
  sftp: false,
  xnat: false,
};

/** Priors that are never found, or that would be sent to their origin. */
export function priorsWarnings(config: Config): Problem[] {
  return config.rules.flatMap((rule, index): Problem[] => {
    const { priors } = rule;
    if (!rule.enabled || !priors) return [];
    const problem = (key: string, message: string): Problem => ({ path: ['rules', index, 'priors', key], message });
    const problems: Problem[] = [];
    const { from } = priors;
    const type = config.targets[from]?.type;
    if (from !== priorsFromSource && type !== undefined && typesThatCanBeAsked[type] === false) {
      const able = Object.keys(typesThatCanBeAsked).filter((one) => typesThatCanBeAsked[one]);
      const message = `a target of type ${type} cannot be searched: only studies of the source are sent; use a target of type ${able.join(', ')}`;
      problems.push(problem('from', message));
    }
    const to = (priors.targets ?? rule.targets).flatMap((name) => config.groups[name]?.targets ?? [name]);
    if (from !== priorsFromSource && to.includes(from)) {
      problems.push(
        problem('from', `"${from}" is also their target, and already has them: remove it from priors.targets`),
      );
    }
    if (priors.first && priors.wait === 0) {
      problems.push(problem('wait', 'the study does not wait for them: set a time, or remove first'));
    }
    return problems;
  });
}

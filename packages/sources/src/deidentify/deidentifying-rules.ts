import type { Config } from '@dicom-dispatch/core';
import { profileReport, type ProfileReport } from './profile-report.ts';

/** A rule with de-identified deliveries, and its conformance. */
export interface DeidentifyingRule {
  readonly rule: string;
  readonly transform: string;
  readonly targets: readonly string[];
  readonly report: ProfileReport;
}

/** De-identified deliveries, by rule: the transform of a rule takes precedence over that of its target. */
export function deidentifyingRules({ rules, groups, targets, transforms }: Config): DeidentifyingRule[] {
  return rules.flatMap(({ name: rule, targets: named, transform: ofRule }) => {
    const reached = [...new Set(named.flatMap((target) => groups[target]?.targets ?? [target]))];
    const byTransform = Map.groupBy(reached, (target) => ofRule ?? targets[target]?.transform);
    return [...byTransform].flatMap(([transform, together]) => {
      const definition = transform === undefined ? undefined : transforms[transform];
      const report = definition && profileReport(definition);
      return transform === undefined || !report ? [] : [{ rule, transform, targets: together, report }];
    });
  });
}

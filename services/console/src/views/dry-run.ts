import { compileRules, DispatchError, explainRules, routeStudy } from '@dicom-dispatch/core';
import { OperationError, readForRouting } from '@dicom-dispatch/operations';
import type { z } from 'zod';
import type { ViewContext } from './view-context.ts';
import type { dryRun } from './schemas.ts';

/**
 * What the rules would do with a study of a source, and why; nothing is sent.
 *
 * @throws OperationError `not-found` when no source has it, `unavailable` when the source cannot be asked
 */
export async function runDry(
  context: ViewContext,
  wanted: { readonly search: string; readonly source?: string | undefined },
): Promise<z.infer<typeof dryRun>> {
  const { found, silent } = await context.lookup.search(wanted.search);
  const study = found.find((one) => wanted.source === undefined || one.source === wanted.source);
  if (!study) {
    const hint = silent.length > 0 ? `; ${silent.join(', ')} could not be asked` : '';
    throw new OperationError(silent.length > 0 ? 'unavailable' : 'not-found', `no source has such a study${hint}`);
  }
  const orthanc = await context.lookup.client(study.source);
  try {
    const config = context.config();
    const rules = compileRules(config.rules, config);
    const signal = AbortSignal.timeout(10_000);
    const snapshot = await readForRouting(orthanc, config, rules, study, signal);
    const routing = routeStudy(rules, snapshot.study.facts);
    return {
      source: study.source,
      studyInstanceUid: study.studyInstanceUid,
      orthancStudyId: study.orthancStudyId,
      instanceCount: snapshot.manifest.length,
      targets: [...routing.targets],
      priority: routing.priority,
      verdicts: explainRules(rules, snapshot.study.facts).map(({ rule, outcome, matched, because, targets }) => ({
        rule,
        outcome,
        matched,
        because,
        targets: [...targets],
      })),
      others: found.length - 1,
    };
  } catch (error) {
    if (error instanceof DispatchError) throw new OperationError('unavailable', error.message, { cause: error });
    throw error;
  }
}

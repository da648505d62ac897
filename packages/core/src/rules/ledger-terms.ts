import { createHash } from 'node:crypto';
import type { DeliveryData } from '../jobs/job-contract.ts';

type Terms = Pick<
  DeliveryData,
  'source' | 'orthancStudyId' | 'studyInstanceUid' | 'target' | 'transform' | 'late' | 'contentHash'
>;

/**
 * Key of the confirmations of a delivery: study, ledger of the target and transform, so that all deliveries of a study
 * in the same form share them. Instances are identified by their UIDs in the source.
 *
 * @param terms - `ledger` is the target's name, unless the target was moved to another place
 */
export function ledgerKeyOf(
  terms: Pick<Terms, 'source' | 'orthancStudyId' | 'studyInstanceUid' | 'target' | 'transform'> & {
    readonly ledger?: string | undefined;
  },
): { source: string; orthancStudyId: string; studyInstanceUid: string; target: string } {
  const { source, orthancStudyId, studyInstanceUid, target, ledger = target, transform } = terms;
  // A plus is in no name.
  return { source, orthancStudyId, studyInstanceUid, target: transform ? `${ledger}+${transform.name}` : ledger };
}

/**
 * The version of an instance for this delivery: another one if the transform has changed, and another one for
 * each content of the study if late instances cause all of it to be sent again.
 */
export function ledgerVersion(version: string, terms: Pick<Terms, 'transform' | 'late' | 'contentHash'>): string {
  const shape = terms.transform ? ` ${transformHash(terms.transform.definition)}` : '';
  return terms.late === 'all' ? `${version}${shape} ${terms.contentHash}` : `${version}${shape}`;
}

/** The same for the same definition, independent of the order of its keys. */
export function transformHash(definition: object): string {
  return createHash('sha256').update(canonical(definition)).digest('hex').slice(0, 12);
}

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map((one) => canonical(one)).join()}]`;
  const entries = Object.entries(value).filter(([key, one]) => one !== undefined && key !== 'description');
  return `{${entries
    .map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`)
    .sort()
    .join()}}`;
}

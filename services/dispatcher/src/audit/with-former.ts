import type { AuditCounts, AuditFinding } from '@dicom-dispatch/state/target-audits';

interface Looked {
  readonly former: AuditFinding | undefined;
  /** What is wrong with the study now. */
  readonly found: AuditFinding | undefined;
  readonly counts: Pick<AuditCounts, 'compared' | 'uncompared'>;
  /** Whether contents were to be compared. */
  readonly content: boolean;
}

/** The finding of an audit, with the differences in content of the former one where contents were not compared this time. */
export function withFormer({ former, found, counts, content }: Looked): AuditFinding | undefined {
  const isCompared = content ? counts.uncompared === 0 : counts.compared > 0;
  if (isCompared || !former?.content || former.differentCount === 0) return found;
  if (found && found.differentCount > 0) return found;
  const { different, differentCount, details } = former;
  const nothingElse = { missing: [], missingCount: 0, extra: [], extraCount: 0 };
  return { ...former, ...nothingElse, ...found, different, differentCount, details, content: true };
}

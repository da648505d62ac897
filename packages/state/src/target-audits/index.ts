export {
  noCounts,
  type AuditCounts,
  type AuditFinding,
  type AuditScope,
  type AuditWish,
  type OpenFindings,
  type TargetAudit,
} from './audit-types.ts';
export { TargetAudits, type FindingChange } from './target-audits.ts';

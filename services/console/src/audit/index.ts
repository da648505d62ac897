export { AuditLog } from './audit-log.ts';
export type { AuditEntry, AuditFacts } from './audit-entry.ts';
export { verifyAudit, type AuditVerdict } from './verify-audit.ts';

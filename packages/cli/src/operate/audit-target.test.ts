import { noCounts, type TargetAudit } from '@dicom-dispatch/state/target-audits';
import { expect, it } from 'vitest';
import { exitCodeOfAudit } from './audit-target.ts';

it('exits with 0 only if the audit was complete and found nothing', () => {
  const audit = { state: 'done', counts: noCounts } as TargetAudit;
  expect(exitCodeOfAudit({ audit, findings: [] })).toBe(0);
  expect(exitCodeOfAudit({ audit, findings: [{} as never] })).toBe(3);
  expect(exitCodeOfAudit({ audit: { ...audit, state: 'stopped' }, findings: [] })).toBe(3);
  expect(exitCodeOfAudit({ audit: { ...audit, counts: { ...noCounts, unread: 1 } }, findings: [] })).toBe(3);
});

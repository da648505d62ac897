import { noCounts, type TargetAudit } from '@dicom-dispatch/state/target-audits';
import { expect, it } from 'vitest';
import { auditGaps, isAuditIncomplete } from './audit-gaps.ts';

const whole = { sample: 1, content: false };
const done = {
  id: 'a',
  target: 'pacs',
  by: 'ada',
  scope: whole,
  startedAt: 1,
  state: 'done' as const,
  counts: noCounts,
};

it('reports no gaps only for an audit of all studies that has ended and read all of them', () => {
  expect(auditGaps(done)).toEqual([]);
  const partial: [Partial<TargetAudit>, string, boolean][] = [
    [{ state: 'running' }, 'in progress', false],
    [{ state: 'stopped' }, 'stopped before it was complete', true],
    [{ state: 'failed', reason: 'no permission' }, 'failed: no permission', true],
    [{ scope: { ...whole, study: '1.2.3' } }, 'Only the study 1.2.3', false],
    [{ scope: { ...whole, since: 0 } }, 'since 1970-01-01T00:00Z', false],
    [{ scope: { ...whole, sample: 0.055 } }, 'Only 5.5 %', false],
    [{ counts: { ...noCounts, instances: 9, unread: 2 } }, 'Not known: 2 of 9 instances', true],
    [
      { counts: { ...noCounts, instances: 9, uncompared: 3 }, uncomparedWhy: { 'the source no longer has it': 3 } },
      'Present only, content not compared: 3 of 9 instances (3: the source no longer has it).',
      true,
    ],
  ];
  for (const [change, words, isIncomplete] of partial) {
    const audit = { ...done, ...change };
    expect(auditGaps(audit)).toEqual([expect.stringContaining(words)]);
    expect([words, isAuditIncomplete(audit)]).toEqual([words, isIncomplete]);
  }
  expect(isAuditIncomplete(done)).toBe(false);
});

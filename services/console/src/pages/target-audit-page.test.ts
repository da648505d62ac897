import { noCounts, TargetAudits, type TargetAudit } from '@dicom-dispatch/state/target-audits';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';

let test: TestConsole;
beforeAll(async () => {
  test = await startTestConsole();
});
afterAll(() => test[Symbol.asyncDispose]());

const open = { studies: 0, missing: 0, different: 0, extra: 0 };
const done: TargetAudit = {
  id: 'a',
  target: 'a',
  by: 'ada',
  scope: { sample: 1, content: false },
  startedAt: 1,
  state: 'done',
  counts: { ...noCounts, studies: 2, instances: 9 },
  open,
};

it('reports a complete target only when everything was compared', async () => {
  const audits = new TargetAudits(test.redis, test.config.redis.prefix);
  expect(await audits.lease('a', 'token')).toBe(true);
  const page = async (change: Partial<TargetAudit>): Promise<string> => {
    expect(await audits.save({ ...done, ...change }, 'token')).toBe(true);
    return (await test.ask('GET', '/targets/a/audit', { headers: { accept: 'text/html' } })).text;
  };
  expect(await page({})).toContain('has everything that it has confirmed');
  const partial: [Partial<TargetAudit>, string][] = [
    [{ state: 'running' }, 'The audit is in progress.'],
    [{ state: 'stopped' }, 'The audit was stopped before it was complete.'],
    [{ scope: { ...done.scope, sample: 0.05 } }, 'Only 5 % of the studies were compared.'],
    [{ counts: { ...done.counts, unread: 2 } }, 'Not known: 2 of 9 instances.'],
    [{ counts: { ...done.counts, uncompared: 9 } }, 'Present only, content not compared: 9 of 9 instances.'],
  ];
  for (const [change, gap] of partial) {
    const text = await page(change);
    expect(text).toContain(gap);
    expect(text).not.toContain('has everything that it has confirmed');
    const { body } = await test.ask('GET', '/api/targets/a/audit');
    expect(body).toMatchObject({ gaps: [expect.stringContaining(gap)] });
  }
});

it('shows what is different', async () => {
  const audits = new TargetAudits(test.redis, test.config.redis.prefix);
  const details = {
    '1.2.3.1': 'differs in PixelData',
    '1.2.3.2': 'differs in PixelData',
    '1.2.3.3': 'lacks PatientSex',
  };
  const found = {
    missing: [],
    missingCount: 0,
    different: Object.keys(details),
    differentCount: 3,
    extra: [],
    extraCount: 0,
  };
  const study = { source: 'main', orthancStudyId: 's', studyInstanceUid: '1.2.3', deliveryId: 'd' };
  const finding = { auditId: 'a', at: 1, content: true, ...study, ...found, details };
  expect(await audits.save(done, 'token', [['main s a', finding]])).toBe(true);
  const { text } = await test.ask('GET', '/targets/a/audit', { headers: { accept: 'text/html' } });
  expect(text).toContain('2: differs in PixelData');
  expect(text).toContain('1: lacks PatientSex');
  expect((await test.ask('GET', '/api/targets/a/audit')).body).toMatchObject({ findings: [{ details }] });
});

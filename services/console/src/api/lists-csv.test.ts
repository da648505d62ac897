import { startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';

let orthanc: OrthancServer;
let test: TestConsole;
beforeAll(async () => {
  orthanc = await startOrthanc();
  test = await startTestConsole({ sourceUrl: orthanc.url });
});
afterAll(async () => {
  await test[Symbol.asyncDispose]();
  await orthanc.stop();
});

async function lines(path: string): Promise<string[]> {
  const { status, headers, text } = await test.ask('GET', path);
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('text/csv; charset=utf-8');
  expect(headers.get('content-disposition')).toMatch(/^attachment; filename="\w+\.csv"$/);
  return text.trim().split('\r\n');
}

it('gives lists as files, with the filters of their pages, and notes who had them', async () => {
  const studies = [];
  for (let index = 0; index < 3; index += 1) studies.push(await test.route());
  const [held, failed] = studies;
  await test.ask('POST', `/api/deliveries/${held?.a}/hold`);
  const error = {
    code: 'target-full',
    stage: 'transfer',
    fault: 'target',
    message: '=no "space"',
    remedy: 'free some',
  };
  await test.operations.records.update(failed?.b ?? '', {
    state: 'failed',
    failStage: 'transfer',
    error: error as never,
  });

  const all = await lines('/api/studies.csv');
  expect(all).toHaveLength(1 + 3 * 2);
  expect(all[0]).toMatch(/^source,study_instance_uid,orthanc_study_id,patient_name,.*,routed_at,target,state,why,/);
  const [, one] = await lines('/api/studies.csv?state=failed&target=b');
  expect(one).toContain(failed?.studyInstanceUid);

  const deliveries = await lines('/api/deliveries.csv?state=held');
  expect(deliveries).toHaveLength(2);
  expect(deliveries[1]).toContain(',a,held,It is held');
  const [, broken] = await lines('/api/deliveries.csv?state=failed');
  // Values that a spreadsheet would interpret as a formula are escaped.
  expect(broken).toContain(`,b,failed,,`);
  expect(broken).toContain(`transfer,target-full,"'=no ""space"""`);
  expect(await lines('/api/deliveries.csv?until=1')).toHaveLength(1);

  const { entries } = (await test.ask('GET', '/api/audit')).body as { entries: { action: string }[] };
  expect(entries.filter(({ action }) => action.startsWith('export ')).length).toBe(5);
});

it('ends an incomplete file with a line that describes what is missing', async () => {
  const { studyInstanceUid } = await test.route();
  expect((await lines('/api/studies.csv')).at(-1)).not.toContain('# incomplete');
  await orthanc.stop();
  const unnamed = '# incomplete: main did not tell who its studies are.';
  expect((await lines('/api/studies.csv')).at(-1)).toBe(unnamed);
  expect((await lines('/api/deliveries.csv')).at(-1)).toBe(unnamed);
  const searched = await lines(`/api/studies.csv?search=${studyInstanceUid}`);
  expect(searched[1]).toContain(studyInstanceUid);
  expect(searched.at(-1)).toMatch(/^# incomplete: .*main does not answer\./);
});

import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { startOrthanc, tempFolder, waitFor, type OrthancServer, type Page } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { TargetStats } from '@dicom-dispatch/state/target-stats';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { Operator, operatorConsole, operatorEnv } from './support/operator.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { runCli } from './support/run-cli.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';
import { prefix, startSystem, type System, type UploadedStudy } from './support/system.ts';

/*
 * An operator's fifteen daily tasks, in a browser, with real servers: each task is limited to four clicks from the front
 * page. Selecting from a list and typing are not counted.
 */

const oldStudies = 500;
const failing = 50;
const overnight = 256;
const searchKey = 'a key of this installation alone';
let started: AsyncDisposableStack;
let system: System;
let pacs: FaultScp;
/** Another archive, from which studies are fetched. */
let remote: OrthancServer;
let dispatch: RunningDispatch;
let operator: Operator;
let wanted: UploadedStudy;
/** SOP Instance UIDs that the PACS rejects. */
const refused = new Set<string>();

beforeAll(async () => {
  // The command line reads the same configuration.
  for (const [name, value] of Object.entries({ SEARCH_KEY: searchKey, ...operatorEnv })) vi.stubEnv(name, value);
  started = new AsyncDisposableStack();
  [system, pacs, remote] = await Promise.all([startSystem(), startFaultScp(), startOrthanc()]);
  started.defer(() => remote.stop());
  started.use(pacs);
  started.use(system);
  const [archive, research] = [started.use(await tempFolder('archive')), started.use(await tempFolder('research'))];
  await many(oldStudies, (index) => upload(`old ${index}`, { StudyDate: '20010203', StudyDescription: 'OLD CHEST' }));
  pacs.answer = (uid) => (refused.has(uid) ? 0xc000 : 0);
  dispatch = started.use(
    await startDispatch({
      env: { SEARCH_KEY: searchKey, ...operatorEnv },
      config: system.config(
        {
          pacs: pacsTarget(pacs, { concurrency: 4 }),
          archive: { type: 'folder', path: archive.path, concurrency: 4 },
          research: { type: 'folder', path: research.path },
          remote: { type: 'orthanc', url: remote.url },
        },
        {
          rules: [{ name: 'all', targets: ['pacs'] }],
          records: { searchKey: '${SEARCH_KEY}' },
          console: operatorConsole,
        },
      ),
    }),
  );
  operator = started.use(await Operator.signIn(dispatch.url));
  wanted = await upload('wanted', { AccessionNumber: 'A4711', StudyDate: '20260301' });
  await system.untilDelivery(wanted, 'pacs', ['delivered']);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await started.disposeAsync();
});

function upload(seed: string, attributes: Record<string, string>): Promise<UploadedStudy> {
  return system.upload({ seed, instancesPerSeries: 1, rows: 8, columns: 8, attributes });
}

/** Does something a number of times, a few at the same time. The results have the order of the numbers. */
async function many<T>(count: number, act: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  const indexes = Array.from({ length: count }, (_, index) => index).values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const index of indexes) results[index] = await act(index);
    }),
  );
  return results;
}

const task: Operator['task'] = (act) => operator.task(act);
const post: Operator['post'] = (path, body) => operator.post(path, body);

const yes = (page: Page) => page.getByRole('button', { name: 'Confirm' });
const storesOf = ({ datasets }: UploadedStudy) =>
  pacs.stores.filter(({ sopInstanceUid }) => datasets.has(sopInstanceUid)).length;

describe('an operator in a browser', () => {
  it('finds a study by its accession number and sends it again, after showing that it is already there', async () => {
    await task(async ({ page, click, search }) => {
      await search('A4711');
      await click(page.locator('tbody tr').getByRole('link').first());
      await page.locator('select[name="targets"]').selectOption('pacs');
      await click(page.getByRole('button', { name: 'Send', exact: true }));
      await page.locator('#ask-text', { hasText: 'pacs: already confirmed: 1 of 1' }).waitFor();
      await click(yes(page));
      await page.getByText('The study is routed to pacs.').waitFor();
    });
    await waitFor(() => storesOf(wanted) === 2, { message: 'it is stored a second time' });
    // The record of what the rules did is unchanged.
    const record = await system.records.study({ source: 'main', orthancStudyId: wanted.orthancStudyId });
    expect(record).toMatchObject({ rules: ['all'] });
  });

  it('sends a study to another target', async () => {
    await task(async ({ page, click, search }) => {
      await search('A4711');
      await click(page.locator('tbody tr').getByRole('link').first());
      await page.locator('select[name="targets"]').selectOption('research');
      await click(page.getByRole('button', { name: 'Send', exact: true }));
      await page.getByRole('region', { name: 'Delivery to research' }).getByText('It is delivered').waitFor();
    });
  });

  it('retries fifty deliveries that failed with one error', async () => {
    const studies = await many(failing, async (index) => {
      const options = { seed: `fails ${index}`, instancesPerSeries: 1, rows: 8, columns: 8 };
      for (const { sopInstanceUid } of makeStudy(options)) refused.add(sopInstanceUid);
      return upload(options.seed, { AccessionNumber: `F${index}` });
    });
    await waitFor(async () => (await system.records.counts('pacs')).failed === failing, {
      message: 'all of them fail',
    });
    const [first] = studies;
    refused.clear();
    for (const uid of first?.datasets.keys() ?? []) refused.add(uid);
    await task(async ({ page, click }) => {
      await click(page.getByRole('link', { name: 'Targets', exact: true }).first());
      await click(page.getByRole('link', { name: 'pacs', exact: true }));
      await click(page.getByRole('button', { name: /^Retry these/ }));
      await page.locator('#ask-text', { hasText: `Retry ${failing} deliveries?` }).waitFor();
      await click(yes(page));
      await page.getByText(`retry: ${failing} of ${failing} done`).waitFor();
    });
    await waitFor(
      async () => {
        const { failed, waiting, active } = await system.records.counts('pacs');
        return failed === 1 && waiting + active === 0;
      },
      { message: 'all but one arrive' },
    );
  });

  it('shows who retried a delivery', async () => {
    await task(async ({ page, click, search }) => {
      await search('F7');
      await click(page.locator('tbody tr').getByRole('link').first());
      const delivery = page.getByRole('region', { name: 'Delivery to pacs' });
      await delivery.getByText('It is delivered').waitFor();
      await click(delivery.locator('summary', { hasText: 'Timeline' }));
      await delivery.getByText(`retried by ${operator.name}`).waitFor();
    });
  });

  it('settles a failure with a reason: it counts no longer', async () => {
    const [failed] = (await system.records.deliveries({ state: 'failed', limit: 1 })).records;
    await task(async ({ page, click, search }) => {
      await search(failed?.studyInstanceUid ?? '');
      await click(page.locator('tbody tr').getByRole('link').first());
      await click(page.getByRole('button', { name: /^Resolve …/ }));
      await page.getByLabel('Reason').fill('sent from the modality');
      await click(yes(page));
      await page.getByText('has resolved it: sent from the modality').first().waitFor();
    });
    expect(await system.records.counts('pacs')).toMatchObject({ failed: 0, resolved: 1 });
  });

  it('shows which rule sent a study', async () => {
    await task(async ({ page, click, search }) => {
      await search('A4711');
      await click(page.locator('tbody tr').getByRole('link').first());
      await page.getByRole('row', { name: /all .*applies/ }).waitFor();
    });
  });

  it('holds a delivery, and finds what is held', async () => {
    await post('/targets/research/pause');
    const [study] = (await system.records.studies({ limit: 1 })).records;
    await post('/route', { source: 'main', orthancStudyId: study?.orthancStudyId, targets: ['research'] });
    await task(async ({ page, click, search }) => {
      await search(study?.studyInstanceUid ?? '');
      await click(page.locator('tbody tr').getByRole('link').first());
      const delivery = page.getByRole('region', { name: 'Delivery to research' });
      await click(delivery.getByRole('button', { name: /^Hold/ }));
      await delivery.locator('.chip.held').waitFor();
    });
    await task(async ({ page, click }) => {
      await click(page.getByRole('link', { name: 'Deliveries', exact: true }).first());
      // Selecting with the arrow keys changes nothing yet.
      await page.getByLabel('State').focus();
      await page.keyboard.press('h');
      expect(new URL(page.url()).search).toBe('');
      await click(page.getByRole('button', { name: 'Apply' }));
      await page.waitForURL('**/deliveries?state=held*');
      expect(await page.locator('tbody tr').count()).toBe(1);
      await page.getByText('It is held until somebody releases it.').waitFor();
      const [file] = await Promise.all([
        page.waitForEvent('download'),
        click(page.getByRole('link', { name: 'CSV', exact: true })),
      ]);
      const lines = (await readFile(await file.path(), 'utf8')).trim().split('\r\n');
      expect(lines[0]).toMatch(/^source,study_instance_uid,/);
      expect(lines.slice(1)).toEqual([expect.stringContaining('research,held,It is held')]);
    });
    await post('/bulk', { action: 'cancel', filter: { state: 'held' } });
    await post('/targets/research/resume');
  });

  it('finds the target that is slower than its usual', async () => {
    const stats = new TargetStats(system.client, prefix);
    const instance = (ms: number, at: number) => stats.ended('archive', 'delivered', new Map([['instance', ms]]), at);
    for (let one = 0; one < 20; one += 1) await instance(80, Date.now() - 2 * 86_400_000);
    for (let one = 0; one < 10; one += 1) await instance(900, Date.now());
    await task(async ({ page, click }) => {
      await click(page.getByRole('link', { name: 'Targets', exact: true }).first());
      const row = page.locator('tbody tr', { hasText: 'slower than usual' });
      await click(row.getByRole('link', { name: 'archive' }));
      await page.getByText(/Slower than usual: an instance takes 9\d\dms[\s\S]* and\s+8\dms/).waitFor();
    });
  });

  it('brings a target back that was down overnight, with all that waited for it', async () => {
    await pacs.down();
    await many(overnight, (index) => upload(`night ${index}`, { StudyDescription: 'NIGHT' }));
    await waitFor(async () => (await system.records.counts('pacs')).waiting === overnight, {
      message: 'all of them wait',
    });
    await task(async ({ page, click }) => {
      await click(page.getByRole('link', { name: /the target pacs cannot be used/ }));
      const test = page.getByRole('button', { name: 'Test connection' });
      await test.waitFor();
      // Not earlier: a delivery that finds the target up closes the circuit, and the front page then has nothing to report.
      await pacs.up();
      await click(test);
      await page.locator('#target .chip', { hasText: 'in use' }).waitFor();
    });
    await waitFor(async () => (await system.records.counts('pacs')).waiting === 0, {
      message: 'all of them go on',
    });
    expect(await system.records.counts('pacs')).toMatchObject({ failed: 0, partial: 0 });
  });

  it('puts a study before all others', async () => {
    await post('/targets/research/pause');
    const studies = (await system.records.studies({ limit: 3 })).records;
    const ids: string[] = [];
    for (const { orthancStudyId } of studies) {
      const { deliveries } = await post('/route', { source: 'main', orthancStudyId, targets: ['research'] });
      ids.push(deliveries[0]?.deliveryId ?? '');
    }
    const last = studies.at(-1);
    await task(async ({ page, click, search }) => {
      await search(last?.studyInstanceUid ?? '');
      await click(page.locator('tbody tr').getByRole('link').first());
      const delivery = page.getByRole('region', { name: 'Delivery to research' });
      await click(delivery.getByRole('button', { name: /^Send first/ }));
      await waitFor(async () => (await system.records.delivery(ids.at(-1) ?? ''))?.priority === 'stat', {
        message: 'it comes first',
      });
    });
    const first = () => system.client.zrange(`${prefix}:target-research:prioritized`, '0', '0');
    await waitFor(async () => (await first())[0] === ids.at(-1), { message: 'its job is the first of the queue' });
    await post('/targets/research/resume');
  });

  it('answers whether a study was delivered that has left its source', async () => {
    await fetch(`${system.orthanc.url}/studies/${wanted.orthancStudyId}`, { method: 'DELETE' });
    await task(async ({ page, click, search }) => {
      await search('A4711');
      await page.getByText('no longer in main').waitFor();
      await click(page.getByRole('link', { name: 'receipt' }));
      await page.getByRole('heading', { name: 'pacs' }).first().waitFor();
      const [uid = ''] = wanted.datasets.keys();
      await page.getByText(uid).first().waitFor();
    });
  });

  it('fetches a study from a target by its accession number; so does the command line', async () => {
    const attributes = { AccessionNumber: 'R0815' };
    const prior = makeStudy({ seed: 'remote', instancesPerSeries: 3, rows: 8, columns: 8, attributes });
    for (const { bytes } of prior) await remote.upload(bytes);
    await task(async ({ page, click }) => {
      await click(page.getByRole('link', { name: 'Fetch' }));
      await page.locator('select[name="target"]').selectOption('remote');
      await page.getByLabel('Accession number').fill('R0815');
      await page.keyboard.press('Enter');
      await click(page.getByRole('button', { name: /^Fetch study/ }));
      await page.locator('#list .chip', { hasText: 'done' }).waitFor();
      expect(await page.locator('#list tbody tr').innerText()).toContain('3 of 3');
    });
    // What has arrived in the source is routed by the rules.
    await waitFor(
      async () => {
        const deliveries = await system.records.deliveriesOfUid(prior.studyInstanceUid, 'main');
        return deliveries.some(
          ({ state, target, confirmed }) => state === 'delivered' && target === 'pacs' && confirmed === 3,
        );
      },
      { message: 'it is in the PACS' },
    );
    const folder = dirname(dispatch.configFile);
    const asked = ['--target', 'remote', '--accession', 'R0815', '--to-folder', 'prior'];
    const pulled = await runCli(folder, 'pull', ...asked, '--config', dispatch.configFile);
    expect([pulled.code, pulled.out.trim()]).toEqual([
      0,
      `3 instances of study ${prior.studyInstanceUid} are in prior`,
    ]);
  });

  it('signs in again after the session has ended, and is back at the study', async () => {
    await task(async ({ page, click, search }) => {
      await search('F7');
      await click(page.locator('tbody tr').getByRole('link').first());
      await page.getByRole('region', { name: 'Delivery to pacs' }).waitFor();
      const study = page.url();
      await post('/sessions/end', { name: operator.name });
      await page.getByRole('alert').getByText('Your session has ended').waitFor();
      await click(page.getByRole('link', { name: 'Sign in again' }));
      await operator.enterPassword(page);
      await click(page.getByRole('button', { name: 'Sign in' }));
      await page.waitForURL(study);
      await page.getByRole('region', { name: 'Delivery to pacs' }).waitFor();
    });
  });

  it('routes five hundred old studies', async () => {
    const folder = dirname(dispatch.configFile);
    const filter = ['--source', 'main', '--description', 'OLD', '--until', '2001-12-31', '--to', 'archive'];
    const config = ['--config', dispatch.configFile];
    const dry = await runCli(folder, 'batch', 'start', ...filter, '--dry-run', ...config);
    expect([dry.code, dry.out.trim(), dry.err]).toEqual([
      0,
      `${oldStudies} studies of main would be routed to archive`,
      '',
    ]);
    await task(async ({ page, click }) => {
      await click(page.getByRole('link', { name: 'Batches' }));
      await page.getByLabel('Description has').fill('OLD');
      await page.locator('select[name="targets"]').selectOption('archive');
      await click(page.getByRole('button', { name: 'Route …' }));
      await page.locator('#ask-text', { hasText: `Route ${oldStudies} studies of main to archive?` }).waitFor();
      await click(yes(page));
      await page.locator('tbody tr', { hasText: 'main to archive' }).waitFor();
    });
    await waitFor(async () => (await system.records.counts('archive')).delivered === oldStudies, {
      message: 'all of them are in the archive',
    });
    const { batches } = await operator.get<{ batches: object[] }>('/api/batches');
    expect(batches).toMatchObject([{ state: 'done', total: oldStudies, routed: oldStudies, skipped: 0, failed: 0 }]);
  });

  it('shows that a source is down, and what a search could not find out', async () => {
    await system.orthanc.kill('SIGKILL');
    await waitFor(
      async () => {
        const { findings } = await operator.get<{ findings: { kind: string }[] }>('/api/health');
        return findings.some(({ kind }) => kind === 'source-silent');
      },
      { message: 'it is noticed' },
    );
    await task(async ({ page, click, search }) => {
      await page.locator('[data-kind="source-silent"]').waitFor();
      await search('A4711');
      await page.getByText('main does not answer. Its studies that were routed are found by').waitFor();
      await page.getByText('main could not be queried').waitFor();
      await click(page.getByRole('link', { name: 'receipt' }));
      await page.getByRole('heading', { name: 'pacs' }).first().waitFor();
    });
  });
});

import {
  launchBrowser,
  startLyingProxy,
  waitFor,
  type Browser,
  type LyingProxy,
  type Page,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { runCli } from './support/run-cli.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';
import { startSystem, type System, type UploadedStudy } from './support/system.ts';

/** What an operator sees, and what the buttons do: one system, one browser, in the order of a bad day. */
let system: System;
let proxy: LyingProxy;
let scp: FaultScp;
let dispatch: RunningDispatch;
let browser: Browser & AsyncDisposable;
let page: Page;
let uploads = 0;

const password = 'otto-operates-a-lot';

beforeAll(async () => {
  // For the services, and for the command line.
  process.env['OTTO'] = password;
  [system, scp, browser] = await Promise.all([startSystem(), startFaultScp(), launchBrowser()]);
  proxy = await startLyingProxy({ url: system.orthanc.url });
  dispatch = await startDispatch({
    config: system.config(
      { pacs: pacsTarget(scp) },
      {
        sources: { main: { url: proxy.url, pollInterval: '200ms' } },
        console: { users: { otto: { password: '${OTTO}', role: 'operator' } } },
      },
    ),
  });
  page = await browser.newPage();
  await signIn();
});
afterAll(async () => {
  delete process.env['OTTO'];
  await browser?.close();
  await dispatch?.stop();
  await proxy?.stop();
  await scp?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
});

async function signIn(): Promise<void> {
  await page.goto(dispatch.url);
  await page.getByLabel('Name').fill('otto');
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`${dispatch.url}/`);
}

function upload(attributes: Record<string, string> = {}): Promise<UploadedStudy> {
  uploads += 1;
  return system.upload({ seed: `health ${uploads}`, instancesPerSeries: 2, rows: 16, columns: 16, attributes });
}

function check(): Promise<{ code: number; out: string }> {
  return runCli(dispatch.folder, 'status', '--check');
}

/** Reloads the front page until it shows the text. */
async function untilFront(text: string | RegExp): Promise<void> {
  await waitFor(
    async () => {
      await page.goto(dispatch.url);
      return (await page.locator('#health', { hasText: text }).count()) === 1;
    },
    { intervalMs: 250, message: () => `${text}\n${dispatch.output()}` },
  );
}

const notice = (text: string | RegExp) => page.locator('#notices', { hasText: text }).waitFor();

/** Makes the page refresh at once, as it does every few seconds. */
async function untilBanner(matches: (text: string) => boolean): Promise<void> {
  await waitFor(
    async () => {
      await page.evaluate('document.dispatchEvent(new Event("visibilitychange"))');
      return matches((await page.locator('#banner').textContent()) ?? '');
    },
    { intervalMs: 250 },
  );
}
const banner = (text: string) => untilBanner((shown) => shown.includes(text));
const noBanner = () => untilBanner((shown) => shown === '');

describe('the health of the system', () => {
  it('reports that all is well, with the last arrival and delivery; status --check agrees', async () => {
    const study = await upload();
    await system.untilDelivery(study, 'pacs', ['delivered']);
    await untilFront('No findings');
    expect(await page.locator('#health time').count()).toBe(2);
    const { code, out } = await check();
    expect(code, out).toBe(0);
  });

  it('names an unreachable target first; a probe reports its result; a passed test closes its circuit', async () => {
    await scp.down();
    const study = await upload();
    await untilFront('the target pacs cannot be used');
    expect(await check()).toMatchObject({ code: 3, out: expect.stringContaining('! the target pacs cannot be used') });
    await page.locator('[data-kind="target-out-of-reach"] a').click();
    await page.getByText('It cannot be reached').waitFor();
    await page.goto(`${dispatch.url}/studies/main/${study.orthancStudyId}`);
    await page.getByRole('button', { name: 'Try now the delivery to pacs' }).click();
    await notice(/pacs probed now: .*(refused|Connection)/);
    await scp.up();
    await page.goto(`${dispatch.url}/targets/pacs`);
    await page.getByRole('button', { name: 'Test connection' }).click();
    await page.getByText(/^The target can be used\./).waitFor();
    await system.untilDelivery(study, 'pacs', ['delivered']);
    await untilFront('No findings');
  });

  it('lists a study that cannot be read, with reason and next try; it is tried now with one click', async () => {
    let badId = 'none';
    proxy.lie(({ path }) => (path.includes(badId) ? { kind: 'status', status: 500 } : undefined));
    const bad = await upload();
    badId = bad.orthancStudyId;
    await untilFront('1 study of main cannot be read');
    await page.locator('[data-kind="study-put-off"] a').click();
    const row = page.locator(`tr[data-key="${badId}"]`);
    await row.getByText('500').waitFor();
    const listed = await runCli(dispatch.folder, 'sources');
    expect(listed.out).toContain(badId);
    expect(listed.out).toContain('To read them now: dispatch source try main');
    // Its next try would be far away.
    await waitFor(async () => {
      await system.client.zadd('{dicom-dispatch}:feed-later:main', 'XX', Date.now() + 3_600_000, badId);
      return Number(await system.client.zscore('{dicom-dispatch}:feed-later:main', badId)) > Date.now() + 3_000_000;
    });
    proxy.beHonest();
    await row.getByRole('button', { name: /^Try now/ }).click();
    await notice('1 study of main is tried now.');
    await system.untilDelivery(bad, 'pacs', ['delivered']);
    await untilFront('No findings');
  });

  it('names patient, accession number and target before it cancels, and can undo it; rows keep their positions', async () => {
    await scp.down();
    const study = await upload({ PatientName: 'Musterfrau^Erika', AccessionNumber: '4711' });
    await system.untilDelivery(study, 'pacs', ['waiting']);
    await page.goto(`${dispatch.url}/deliveries`);
    const row = page.locator('tbody tr', { hasText: '4711' });
    await row.getByRole('button', { name: /^Cancel/ }).click();
    const asked = await page.locator('#ask-text').innerText();
    expect(asked).toMatch(/^Cancel the delivery of Musterfrau.*Erika \(accession 4711\) to pacs\?/);
    await page.getByRole('button', { name: 'Confirm' }).click();
    await notice('Cancelled: 0 of 2 instances had arrived at pacs');
    expect((await system.untilDelivery(study, 'pacs', ['cancelled'])).state).toBe('cancelled');
    await page.locator('#notices').getByRole('button', { name: 'Resume' }).click();
    await system.untilDelivery(study, 'pacs', ['waiting', 'active']);

    const first = page.locator('tbody tr').first();
    await first.hover();
    const key = await first.getAttribute('data-key');
    const count = await page.locator('tbody tr').count();
    await upload();
    await waitFor(async () => (await system.records.counts()).waiting >= 2);
    // A change that is shown in its place: the page has been loaded again.
    await row.getByRole('button', { name: /^Hold/ }).click();
    await row.locator('.chip.held').waitFor();
    expect([await first.getAttribute('data-key'), await page.locator('tbody tr').count()]).toEqual([key, count]);
    await page.mouse.move(5, 5);
    await waitFor(async () => (await page.locator('tbody tr').count()) === count + 1);
    await row.getByRole('button', { name: /^Release/ }).click();
    await scp.up();
    await system.untilDelivery(study, 'pacs', ['delivered']);
  });

  it('reports on the page and by status --check that Redis rejects writes, and why', async () => {
    await page.goto(dispatch.url);
    const ills: [reason: string, ill: [string, ...string[]], well: [string, ...string[]]][] = [
      ['NOREPLICAS', ['CONFIG', 'SET', 'min-replicas-to-write', '1'], ['CONFIG', 'SET', 'min-replicas-to-write', '0']],
      ['READONLY', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE']],
    ];
    for (const [reason, ill, well] of ills) {
      await system.redis.command(...ill);
      await banner(`Redis rejects writes (${reason})`);
      expect(await check()).toMatchObject({
        code: 3,
        out: expect.stringContaining(`! Redis rejects writes (${reason})`),
      });
      await system.redis.command(...well);
    }
    await noBanner();
    await untilFront('No findings');
  });

  it('reports when the session, the network, Redis and the console are unavailable, and when they are available again', async () => {
    await page.goto(`${dispatch.url}/rules`);
    await noBanner();
    const cookies = await page.context().cookies();
    await page.context().clearCookies();
    await banner('Your session has ended');
    await page.context().addCookies(cookies);
    await noBanner();
    await page.context().setOffline(true);
    await banner('This computer has no network');
    await page.context().setOffline(false);
    await noBanner();
    await system.redis.kill('SIGKILL');
    await banner('Redis does not respond');
    const answer = await page.goto(`${dispatch.url}/sources`);
    expect(answer?.status()).toBe(503);
    await page.getByText('Redis does not respond.').waitFor();
    await system.redis.restart();
    // The page reloads.
    await page.getByRole('heading', { name: 'Sources' }).waitFor();
    await noBanner();
    await dispatch.kill('SIGKILL');
    await banner('The console does not respond');
  });
});

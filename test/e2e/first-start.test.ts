import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  freePort,
  launchBrowser,
  startOrthanc,
  startStorescp,
  tempFolder,
  waitFor,
  type Browser,
  type OrthancServer,
  type Page,
  type StorescpServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { compileCache } from './support/run-commands.ts';

/** From an empty folder to a delivered study, in the browser alone. */

const main = fileURLToPath(import.meta.resolve('@dicom-dispatch/cli/main'));
const password = 'four words and a bicycle';

let orthanc: OrthancServer;
let pacs: StorescpServer;
let browser: Browser & AsyncDisposable;
let folder: TempFolder;
let up: ChildProcess;
let output = '';
let link = '';
let page: Page;
let startedAt = 0;

beforeAll(async () => {
  [orthanc, pacs, browser, folder] = await Promise.all([
    startOrthanc(),
    startStorescp(),
    launchBrowser(),
    tempFolder('first-start'),
  ]);
  const listen = `127.0.0.1:${await freePort()}`;
  startedAt = performance.now();
  up = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, 'up', '--listen', listen], {
    cwd: folder.path,
    env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
  });
  for (const stream of [up.stdout, up.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  link = await waitFor(async () => /http:\S+token=\S+/.exec(output)?.[0], {
    message: () => `the link; it printed ${output}`,
  });
  page = await browser.newPage();
});
afterAll(async () => {
  await browser?.close();
  if (up && up.exitCode === null) {
    up.kill('SIGTERM');
    await once(up, 'exit');
  }
  await Promise.all([orthanc?.stop(), pacs?.stop(), folder?.remove()]);
});

describe('up in an empty folder', () => {
  it('rejects browsers without the printed link', async () => {
    const { origin } = new URL(link);
    for (const path of ['/setup', '/setup?token=guessed', '/setup/start'])
      expect((await fetch(`${origin}${path}`)).status, path).toBe(403);
    const sent = await fetch(`${origin}/setup/start`, { method: 'POST', body: '{}' });
    expect(sent.status).toBe(403);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('asks for Orthanc, and continues when it responds', async () => {
    await page.goto(link);
    expect(page.url()).not.toContain('token');
    await page.locator('[name="url"]').fill('http://127.0.0.1:1');
    await page.getByRole('button', { name: 'Test and continue' }).click();
    await page.getByText('Orthanc cannot be used.').waitFor();
    await page.locator('[name="url"]').fill(orthanc.url);
    await page.getByRole('button', { name: 'Test and continue' }).click();
    await page.getByText('Where do studies go?').waitFor();
  });

  it('rejects a second browser with the same link', async () => {
    const other = await browser.newContext();
    const refused = await other.newPage();
    await refused.goto(link);
    await refused.getByText('This link was opened in another browser').waitFor();
    await other.close();
  });

  it('loads no program that a page of another site names', async () => {
    const [cookie] = await page.context().cookies();
    const { origin } = new URL(link);
    const headers = { cookie: `${cookie?.name}=${cookie?.value}`, 'sec-fetch-site': 'cross-site' };
    const answer = await fetch(`${origin}/setup?type=./other.ts`, { headers });
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain('sent by a page of another site');
  });

  it('asks for a target, and continues when it accepts studies', async () => {
    const receiver = page.getByRole('link', { name: /^DICOM receiver Sends/ });
    await receiver.click();
    await page.getByRole('link', { name: 'Another kind' }).click();
    await receiver.click();
    await page.locator('[data-name]').fill('pacs');
    await page.locator('[name="host"]').fill(pacs.host);
    await page.locator('[name="calledAeTitle"]').fill(pacs.aet);
    await page.locator('[name="port"]').fill('1');
    await page.getByRole('button', { name: 'Test and continue' }).click();
    await page.getByText('The target cannot be used.').waitFor();
    await page.locator('[name="port"]').fill(String(pacs.port));
    await page.getByRole('button', { name: 'Test and continue' }).click();
    await page.getByText('Which studies go to pacs?').waitFor();
  });

  it('asks for a rule, and reports its errors immediately', async () => {
    await page.getByText('matches 0 of 0 studies in Orthanc').waitFor();
    const when = page.locator('[name="when"]');
    await when.fill('study.StudyDescripton == "x"');
    await page.locator('[data-error-of="when"]', { hasText: 'the nearest is StudyDescription' }).waitFor();
    await when.fill('study.StudyDescription.startsWith("Test")');
    await page.locator('[data-error-of="when"]:empty').waitFor({ state: 'attached' });
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('Who administers it?').waitFor();
  });

  it('requires a password that cannot be guessed', async () => {
    await page.locator('[name="password"]').fill('password');
    await page.locator('[data-error-of="password"]', { hasText: 'use at least 15' }).waitFor();
    await page.locator('[name="password"]').fill(password);
    await page.locator('[name="again"]').fill(`${password}s`);
    await page.locator('[data-error-of="again"]', { hasText: 'is a different password' }).waitFor();
    await page.locator('[name="again"]').fill(password);
    await page.locator('[data-error-of="again"]:empty').waitFor({ state: 'attached' });
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Write the file and start' }).waitFor();
    expect(await page.locator('main').innerText()).toContain('sealed: (encrypted)');
    expect(await readdir(folder.path), 'nothing but the key is written').toEqual(['dispatch.yaml.key']);
  });

  it('starts, signs the administrator in, and delivers a test study', async () => {
    await page.getByRole('button', { name: 'Write the file and start' }).click();
    await page.waitForURL('**/sign-in**');
    await page.getByLabel('Name').fill('admin');
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Send the test study' }).click();
    await page.waitForURL('**/studies/orthanc/**');
    await page.getByRole('heading', { name: 'TEST, DICOM-DISPATCH' }).waitFor();
    await page.locator('section[aria-label="Delivery to pacs"] .chip.delivered').waitFor();
    const received = await pacs.received();
    expect(received).toHaveLength(3);
    // Not asserted: the time depends on what else runs. Orthanc's default StableAge would add a minute.
    const seconds = (performance.now() - startedAt) / 1_000;
    console.log(`from "dispatch up" in an empty folder to the delivered test study: ${seconds.toFixed(1)} s`);
  });

  it('has written a file for its owner alone, with nothing secret in it', async () => {
    const file = join(folder.path, 'dispatch.yaml');
    const text = await readFile(file, 'utf8');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(text).not.toContain(password);
    expect(parse(text)).toMatchObject({
      sources: { orthanc: { url: orthanc.url } },
      targets: { pacs: { type: 'dicom', port: pacs.port } },
      rules: [{ name: 'everything', targets: ['pacs'] }],
      console: { users: { admin: { role: 'administrator', password: { sealed: expect.stringMatching(/^v1\./) } } } },
    });
    expect(output).not.toContain(password);
  });
});

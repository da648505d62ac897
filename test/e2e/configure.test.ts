import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { launchBrowser, tempFolder, waitFor, type Browser, type Page, type TempFolder } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { runCli } from './support/run-cli.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';
import { startSystem, type System } from './support/system.ts';

/**
 * Configuration changes in the browser and by hand. One process runs all services; the receiver is not configured at the
 * start.
 */

let system: System;
let up: RunningDispatch;
let pacs: FaultScp;
let browser: Browser & AsyncDisposable;
let secrets: TempFolder;
let cookies: Awaited<ReturnType<ReturnType<Page['context']>['cookies']>>;

const token = 'configure-token-0123456789abcdef';
const password = 'ada-administers-3';
const newPassword = 'berta likes long words';
const authorization = `Bearer ${token}`;

beforeAll(async () => {
  [system, pacs, browser, secrets] = await Promise.all([
    startSystem(),
    startFaultScp(),
    launchBrowser(),
    tempFolder('configure'),
  ]);
  const [tokenFile, passwordFile] = [join(secrets.path, 'token'), join(secrets.path, 'password')];
  await Promise.all([writeFile(tokenFile, token), writeFile(passwordFile, password)]);
  const console = {
    users: { ada: { password: { file: passwordFile }, role: 'administrator' } },
    tokens: { script: { token: { file: tokenFile }, role: 'administrator' } },
  };
  up = await startDispatch({ config: system.config({ first: { type: 'dummy' } }, { console }) });
  await writeFile(up.configFile, `# ask Anna\n${await text()}# the end\n`);
});
afterAll(async () => {
  await browser?.close();
  await up?.stop();
  await Promise.all([system?.[Symbol.asyncDispose](), pacs?.down(), secrets?.remove()]);
});

const text = (): Promise<string> => readFile(up.configFile, 'utf8');

async function ask(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(`${up.url}${path}`, {
    method,
    headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const draft = async (): Promise<Record<string, unknown>> => (await ask('GET', '/api/configuration/draft')).body;
const discard = async (): Promise<void> => {
  expect(await ask('POST', '/api/configuration/draft/discard', { seen: (await draft())['seen'] })).toMatchObject({
    status: 200,
  });
};
const targets = async (): Promise<string[]> =>
  Object.keys((parse(await text()) as { targets: Readonly<Record<string, unknown>> }).targets);

describe('the configuration in the browser', () => {
  let page: Page;
  beforeAll(async () => {
    page = await browser.newPage();
    await page.goto(`${up.url}/configuration`);
    await page.getByLabel('Name').fill('ada');
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL('**/configuration');
    cookies = await page.context().cookies();
  });

  it('a DICOM target is added: its port is wrong, understood, mended, tested and kept', async () => {
    await page.goto(`${up.url}/configuration/targets`);
    await page.getByRole('link', { name: /^DICOM receiver Sends/ }).click();
    await page.locator('[data-name]').fill('pacs');
    await page.locator('[name="host"]').fill(pacs.host);
    await page.locator('[name="calledAeTitle"]').fill(pacs.aet);
    await page.locator('[name="port"]').fill('11112x');
    await page.locator('[data-error-of="port"]', { hasText: 'is not a number' }).waitFor();
    await page.locator('[name="port"]').fill('1');
    await page.locator('[data-error-of="port"]:empty').waitFor({ state: 'attached' });
    await page.getByRole('button', { name: 'Test connection' }).click();
    await page.getByText('The target cannot be used.').waitFor();
    await page.locator('[name="port"]').fill(String(pacs.port));
    await page.getByRole('button', { name: 'Test connection' }).click();
    await page.getByText('The target can be used.').waitFor();
    await page.getByRole('button', { name: 'Save to draft' }).click();
    await page.waitForURL('**/configuration');
    expect(await page.locator('main').innerText()).toContain('targets.pacs is added');
    expect(await page.locator('main').innerText()).toContain('targets.pacs: no rule sends to this target');
    expect(await targets(), 'nothing is in use yet').toEqual(['first']);
  });

  it('a rule for it is added, its effect is shown, and all services take both over', async () => {
    await page.goto(`${up.url}/configuration/rules`);
    await page.getByRole('link', { name: 'Add a rule' }).click();
    await page.locator('[data-name]').fill('to-pacs');
    await page.locator('[name="targets"]').fill('pacs');
    await page.getByText('matches 0 of the last 0 studies').waitFor();
    await page.getByRole('button', { name: 'Add a condition' }).click();
    await page.locator('[data-row] [name="subject"]').selectOption({ label: 'Study description' });
    await page.locator('[data-row] [name="operator"]').selectOption({ label: 'is not' });
    await page.locator('[data-row] [name="value"]').fill("nobody's");
    const when = page.locator('textarea[name="when"], input[name="when"]');
    await waitFor(async () => (await when.inputValue()) === String.raw`study.StudyDescription != 'nobody\'s'`, {
      message: 'the builder writes the expression',
    });
    await when.fill('!(study.InstitutionName == "Klinik für Ärzte" || study.StudyDescripton == "x")');
    await page
      .locator('[data-error-of="when"]', {
        hasText: 'line 1, column 56: "StudyDescripton" is not a DICOM keyword; the nearest',
      })
      .waitFor();
    await page.getByText('The expression cannot be shown as conditions').waitFor();
    const [, mark = ''] = (await page.locator('[data-tried] [data-mark]').innerText()).split('\n');
    expect(mark.indexOf('^'), 'below the wrong name').toBe(55);
    await when.fill('');
    await when.pressSequentially('study.StudyDescr');
    await page.getByRole('option', { name: 'StudyDescription', exact: true }).waitFor();
    await when.press('ArrowDown');
    await when.press('Enter');
    await when.pressSequentially('.conta');
    await page.getByRole('option', { name: 'contains(' }).click();
    await when.pressSequentially('"Schädel")');
    expect(await when.inputValue()).toBe('study.StudyDescription.contains("Schädel")');
    await waitFor(async () => (await page.locator('[data-row] [name="operator"]').inputValue()) === 'contains', {
      message: 'the builder reads what was completed',
    });
    await when.fill("study.PatientID != 'nobody'");
    await page.locator('[data-error-of="when"]:empty').waitFor({ state: 'attached' });
    await waitFor(async () => (await page.locator('[data-row] [name="value"]').inputValue()) === 'nobody', {
      message: 'the builder reads the expression',
    });
    await page.getByRole('button', { name: 'Save to draft' }).click();
    await page.waitForURL('**/configuration');
    await page.getByText('rules.to-pacs is added').waitFor();
    await page.getByRole('button', { name: 'What would the rules have done?' }).click();
    await page.getByText('Studies: 0. Same targets: 0. Other targets: 0.').waitFor();
    await page.getByLabel('Reason, for the history').fill('the new PACS');
    await page.getByRole('button', { name: 'Apply to all services' }).click();
    await page.getByText('All services use version').waitFor();
    const study = await system.upload({ seed: 'configured', instancesPerSeries: 1 });
    await system.untilDelivery(study, 'pacs', ['delivered']);
    await page.goto(`${up.url}/configuration/rule?name=to-pacs`);
    await page.getByText('matches 1 of the last 1 studies').waitFor();
    await page.getByText('✓ ' + study.studyInstanceUid + " `study.PatientID != 'nobody'` is true").waitFor();
    await when.fill("study.PatientID == 'nobody'");
    await page.getByText('matches 0 of the last 1 studies').waitFor();
    await page.getByRole('button', { name: 'Save to draft' }).click();
    await page.waitForURL('**/configuration');
    await page.getByRole('button', { name: 'What would the rules have done?' }).click();
    await page.getByText('Studies: 1. Same targets: 0. Other targets: 1.').waitFor();
    await page.getByText('pacs: 0 more studies, 1 fewer').waitFor();
    await page.getByText(`${study.studyInstanceUid}: first, pacs → first`).waitFor();
    await discard();
    expect(await text()).toMatch(/^# ask Anna\n/);
    expect(await text()).toMatch(/# the end\n$/);
    const left = (await readdir(up.folder)).filter((name) => /candidate|before/.test(name));
    expect(left).toEqual([]);
  });

  it('a former version is restored, and every version is listed', async () => {
    const { body } = await ask('GET', '/api/configuration/versions');
    const versions = body['versions'] as { number: number; reason: string; author: string }[];
    expect(versions[0]).toMatchObject({ reason: 'the new PACS', author: 'ada' });
    const former = versions[1]?.number ?? 0;
    await page.goto(`${up.url}/configuration/versions/${former}`);
    await page.getByRole('button', { name: `Restore version ${former}` }).click();
    await page.getByText('All services use version').waitFor();
    expect(await targets()).toEqual(['first']);
    const { body: now } = await ask('GET', '/api/targets');
    expect((now as unknown as { targets: { name: string }[] }).targets.map(({ name }) => name)).toEqual(['first']);
    const history = await runCli(up.folder, 'config', 'history');
    expect(history.out).toContain('the new PACS');
    const difference = await runCli(up.folder, 'config', 'diff', String(former), String(former + 1));
    expect(difference.out).toContain('+  pacs:');
    expect(difference.out).toContain('to-pacs');
    const restored = await runCli(up.folder, 'config', 'restore', String(former + 1), '--reason', 'once more');
    expect(restored, restored.err).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^All services use version \d+\.\n$/),
    });
    expect(await targets()).toEqual(['first', 'pacs']);
    const { entries } = (await ask('GET', '/api/audit')).body as { entries: { action: string; actor: string }[] };
    for (const action of ['prepare target', 'prepare rule', 'apply configuration', 'restore configuration'])
      expect(entries.map((entry) => entry.action)).toContain(action);
  });

  it('a typed secret is stored encrypted, and shown nowhere', async () => {
    const values = { url: 'http://127.0.0.1:1', auth: '' };
    const bad = await ask('POST', '/api/configuration/targets/web/check', { type: 'xnat', values });
    expect(bad.body['problems']).toEqual(expect.arrayContaining([expect.objectContaining({ field: 'project' })]));
    const sftp = {
      host: '127.0.0.1',
      username: 'me',
      path: '/in',
      password: 'a very secret word',
      hostKey: '{ knownHosts: /etc/ssh/known }',
    };
    expect(await ask('PUT', '/api/configuration/targets/files', { type: 'sftp', values: sftp })).toMatchObject({
      status: 200,
    });
    expect(await draft()).toMatchObject({ problems: [] });
    const { seen, text: written } = (await draft()) as { seen: string; text: string };
    expect(written).toContain('sealed: v1.');
    expect(await ask('POST', '/api/configuration/draft/apply', { seen })).toMatchObject({ status: 200 });
    const everything = [await text(), JSON.stringify((await ask('GET', '/api/configuration')).body), up.output()];
    expect(everything.join()).not.toContain('a very secret word');
    await page.goto(`${up.url}/configuration/target?name=files`);
    expect(await page.locator('[name="password"]').getAttribute('placeholder')).toContain('stored encrypted');
    expect(await page.content()).not.toContain('v1.');
    await ask('POST', '/api/configuration/targets/files/remove', { waiting: 'cancel' });
    expect((await draft())['differences']).toHaveLength(1);
    await discard();
  });

  it('headers, passwords in YAML and the address of a webhook are stored encrypted, and shown nowhere', async () => {
    await page.goto(`${up.url}/configuration/target?type=dicomweb`);
    await page.locator('[data-name]').fill('web');
    await page.locator('[name="url"]').fill('http://127.0.0.1:1/dicom-web');
    await page.locator('details').evaluateAll((all) => all.forEach((one) => one.setAttribute('open', '')));
    await page.locator('[name="auth"]').fill('{ type: basic, username: me, password: "word one of web" }');
    await page.locator('[name="headers"]').fill('Authorization: Bearer word-two\nAccept-Language: de');
    await page.getByRole('button', { name: 'Save to draft' }).click();
    await page.waitForURL('**/configuration');
    await page.goto(`${up.url}/configuration/entry?kind=webhooks`);
    await page.locator('[data-name]').fill('desk');
    await page.locator('[name="url"]').fill('https://hooks.slack.com/services/T0/B0/word-three');
    await page.locator('[name="format"]').selectOption('slack');
    await page.getByRole('button', { name: 'Save to draft' }).click();
    await page.waitForURL('**/configuration');
    const written = String((await draft())['text']);
    expect(parse(written)).toMatchObject({
      targets: {
        web: {
          auth: { type: 'basic', username: 'me', password: { sealed: expect.stringMatching(/^v1\./) } },
          headers: { Authorization: { sealed: expect.stringMatching(/^v1\./) }, 'Accept-Language': 'de' },
        },
      },
      console: { notifications: { webhooks: { desk: { url: { sealed: expect.stringMatching(/^v1\./) } } } } },
    });
    const shown = [written, JSON.stringify(await draft()), await page.content()];
    for (const path of [
      'target?name=web',
      'target?copy=web',
      'entry?kind=webhooks&name=desk',
      'entries?kind=webhooks',
    ]) {
      await page.goto(`${up.url}/configuration/${path}`);
      shown.push(await page.content());
      expect(await page.content(), path).not.toContain('v1.');
    }
    expect(shown.join('\n')).not.toMatch(/word one|word-two|word-three/);
    expect(await draft()).toMatchObject({ problems: [] });
    await discard();
  });

  it('a manual edit in between is preserved; in the same lines, it is reported and never overwritten', async () => {
    await ask('POST', '/api/configuration/targets/first/enabled', { enabled: false });
    await writeFile(up.configFile, (await text()).replace('# the end', '# by hand'));
    const { seen } = (await draft()) as { seen: string };
    expect(await ask('POST', '/api/configuration/draft/apply', { seen })).toMatchObject({ status: 200 });
    expect(await text()).toContain('# by hand');
    expect(await text()).toContain('enabled: false');

    await ask('POST', '/api/configuration/targets/first/enabled', { enabled: true });
    const byHand = (await text()).replace('enabled: false', 'concurrency: 7');
    await writeFile(up.configFile, byHand);
    const stale = (await draft()) as { seen: string; isStale: boolean };
    expect(stale.isStale).toBe(true);
    const refused = await ask('POST', '/api/configuration/draft/apply', { seen: stale.seen });
    expect(refused).toMatchObject({ status: 409, body: { message: expect.stringContaining('edited by hand') } });
    expect(await text()).toBe(byHand);
    await discard();
  });

  it('of two who change the same target, the second is shown the change of the first', async () => {
    const [one, other] = await Promise.all([browser.newPage(), browser.newPage()]);
    for (const each of [one, other]) await each.context().addCookies(cookies);
    const address = `${up.url}/configuration/target?name=pacs`;
    await Promise.all([one.goto(address), other.goto(address)]);
    await one.locator('[name="description"]').fill('first');
    await one.getByRole('button', { name: 'Save to draft' }).click();
    await one.waitForURL('**/configuration');
    await other.locator('[name="description"]').fill('second');
    await other.getByRole('button', { name: 'Save to draft' }).click();
    await other.getByText('targets.pacs was changed in the meantime (ada: target pacs changed)').waitFor();
    await Promise.all([one.close(), other.close()]);
    await discard();
  });

  it('a source is tested before it is kept', async () => {
    await page.goto(`${up.url}/configuration/entries?kind=sources`);
    await page.getByRole('link', { name: 'Duplicate main' }).click();
    await page.locator('[data-name]').fill('second');
    await page.locator('[name="url"]').fill('http://127.0.0.1:1');
    await page.getByRole('button', { name: 'Test connection' }).click();
    await page.getByText('The source cannot be used.').waitFor();
    await page.locator('[name="url"]').fill(system.orthanc.url);
    await page.getByRole('button', { name: 'Test connection' }).click();
    await page.getByText('The source can be used.').waitFor();
    await page.getByRole('button', { name: 'Save to draft' }).click();
    await page.waitForURL('**/configuration');
    await page.getByText('sources.second is added').waitFor();
    await discard();
  });

  it('if one process cannot apply it, none does, and it is named', async () => {
    const config = parse(await text()) as Readonly<Record<string, unknown>>;
    const dispatcher = await startDispatch({
      command: 'dispatcher',
      config: { ...config, targets: { first: { type: 'dummy' }, pacs: { type: 'dummy' } } },
    });
    try {
      await ask('POST', '/api/configuration/targets/first/enabled', { enabled: false });
      const before = await text();
      const { seen } = (await draft()) as { seen: string };
      const answer = await ask('POST', '/api/configuration/draft/apply', { seen });
      expect(answer).toMatchObject({ status: 503 });
      expect(answer.body['message']).toMatch(/dispatcher \(.*another configuration file/);
      expect(await text()).toBe(before);
    } finally {
      await dispatcher.stop();
    }
    const { seen } = (await draft()) as { seen: string };
    expect(await ask('POST', '/api/configuration/draft/apply', { seen })).toMatchObject({ status: 200 });
    expect(await text()).toContain('enabled: false');
  });

  it('a user is added by the form, and signs in', async () => {
    await page.goto(`${up.url}/configuration`);
    await page.getByRole('link', { name: 'Users' }).click();
    await page.getByRole('link', { name: 'Add a user' }).click();
    await page.locator('[data-name]').fill('berta');
    await page.locator('[name="password"]').fill('short');
    await page.locator('[data-error-of="password"]', { hasText: 'use at least 15' }).waitFor();
    await page.locator('[name="password"]').fill(newPassword);
    await page.locator('[name="role"]').selectOption('operator');
    await page.locator('[data-error-of="password"]:empty').waitFor({ state: 'attached' });
    await page.getByRole('button', { name: 'Save to draft' }).click();
    await page.waitForURL('**/configuration');
    const { seen } = (await draft()) as { seen: string };
    expect(await ask('POST', '/api/configuration/draft/apply', { seen })).toMatchObject({ status: 200 });
    expect(await text()).not.toContain(newPassword);
    const signedIn = await fetch(`${up.url}/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ name: 'berta', password: newPassword, to: '/' }),
      redirect: 'manual',
    });
    expect([signedIn.status, signedIn.headers.get('location')]).toEqual([303, '/']);
  });
});

import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  httpRequest,
  launchBrowser,
  leasePort,
  startMailServer,
  startServer,
  startStorescp,
  tempFolder,
  waitFor,
  type Browser,
  type MailServer,
  type Page,
  type StorescpServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ConfigurationPages } from './support/configuration-pages.ts';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { commandLine } from './support/programs.ts';
import { compileCache } from './support/run-commands.ts';
import { startDispatch, type RunningDispatch } from './support/start-dispatch.ts';
import { startSystem, type System, type UploadedStudy } from './support/system.ts';

/** Configuration pages that `configure.test.ts` does not open, and decisions about deliveries of changed targets. */

const token = 'pages-token-0123456789abcdef';
const passwords = { ada: 'ada-administers-4', berta: 'berta-edits-targets-5' };

let system: System;
let up: RunningDispatch;
let browser: Browser & AsyncDisposable;
let folder: TempFolder;
let mail: MailServer;
let store: StorescpServer;
let scps: FaultScp[] = [];
let healthPort: Awaited<ReturnType<typeof leasePort>>;
let page: Page;
let pages: ConfigurationPages;

beforeAll(async () => {
  [system, browser, folder, mail, store, healthPort, scps] = await Promise.all([
    startSystem(),
    launchBrowser(),
    tempFolder('configure-pages'),
    startMailServer(),
    startStorescp(),
    leasePort(),
    Promise.all([startFaultScp(), startFaultScp(), startFaultScp()]),
  ]);
  const secretFile = async (name: string, text: string): Promise<{ file: string }> => {
    const file = join(folder.path, name);
    await writeFile(file, text);
    return { file };
  };
  const leaving = Object.fromEntries(
    ['kept', 'moved', 'cancelled'].map((name) => [name, { type: 'dummy', enabled: false }]),
  );
  const addressed = Object.fromEntries(['same', 'other'].map((name) => [name, pacsTarget(scps[0]!)]));
  const config = {
    ...system.config({
      first: { type: 'dummy' },
      second: { type: 'dummy' },
      spare: { type: 'dummy' },
      pacs: pacsTarget(store),
      ...leaving,
      ...addressed,
    }),
    rules: [
      { name: 'all', targets: ['first'] },
      { name: 'leaving', targets: Object.keys(leaving) },
      { name: 'addressed', targets: Object.keys(addressed) },
    ],
    targetDefaults: { dummy: { attempts: 7 } },
    groups: { old: { targets: ['first'] } },
    transforms: { old: { remove: ['PatientComments'] } },
    console: {
      users: {
        ada: { password: await secretFile('ada', passwords.ada), role: 'administrator' },
        berta: { password: await secretFile('berta', passwords.berta), role: 'editor' },
      },
      tokens: {
        script: { token: await secretFile('script', token), role: 'administrator' },
        old: { token: await secretFile('old', 'old-token-0123456789abcdef'), role: 'viewer' },
      },
      notifications: {
        smtp: { host: '127.0.0.1', port: mail.port, from: 'dispatch@clinic.example' },
        emails: { old: { to: ['old@clinic.example'] } },
      },
    },
  };
  const health = { dispatcher: '${DISPATCHER_HEALTH}' };
  up = await startDispatch({ config, health, env: { DISPATCHER_HEALTH: '127.0.0.1:0' } });
  page = await signIn('ada');
  pages = new ConfigurationPages(page, `${up.url}/configuration`);
});
afterAll(async () => {
  await browser?.close();
  await up?.stop();
  await Promise.all([system?.[Symbol.asyncDispose](), mail?.stop(), store?.stop(), folder?.remove()]);
  await Promise.all(scps.map((scp) => scp.down()));
  healthPort?.release();
});

async function signIn(name: keyof typeof passwords): Promise<Page> {
  const opened = await browser.newPage();
  await opened.goto(`${up.url}/configuration`);
  await opened.getByLabel('Name').fill(name);
  await opened.getByLabel('Password').fill(passwords[name]);
  await opened.getByRole('button', { name: 'Sign in' }).click();
  await opened.waitForURL('**/configuration');
  return opened;
}

type Plain = Readonly<Record<string, unknown>>;

async function ask(
  method: string,
  path: string,
  body?: unknown,
  bearer = token,
): Promise<{ status: number; body: Plain }> {
  const answer = await fetch(`${up.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${bearer}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Plain };
}

const text = (): Promise<string> => readFile(up.configFile, 'utf8');
const written = async (): Promise<Plain> => parse(await text()) as Plain;
const target = async (name: string): Promise<Plain> => (await ask('GET', `/api/targets/${name}`)).body;
const statesAt = async (study: UploadedStudy, name: string): Promise<unknown[]> => {
  const { body } = await ask('GET', `/api/deliveries?target=${name}`);
  const found = (body['deliveries'] as Plain[]).filter((one) => one['studyInstanceUid'] === study.studyInstanceUid);
  return found.map(({ state }) => state);
};

/** Applies the draft in all services; the result as shown. */
async function apply(reason: string): Promise<string> {
  const shown = await pages.apply(reason, 'All services use version');
  const { body } = await ask('GET', '/api/configuration/versions?limit=1');
  expect((body['versions'] as Plain[])[0]).toMatchObject({ reason, author: 'ada' });
  return shown;
}

describe('deliveries of changed targets', () => {
  it('removed ones keep, move or cancel what waits, as answered', async () => {
    const study = await system.upload({ seed: 'leaving', instancesPerSeries: 1 });
    for (const name of ['kept', 'moved', 'cancelled']) await system.untilDelivery(study, name, ['waiting']);
    await pages.remove('Rules', 'leaving');
    for (const [name, answer] of [
      ['kept', 'are kept until somebody moves or cancels them'],
      ['moved', 'are moved to another target'],
      ['cancelled', 'are cancelled'],
    ] as const) {
      await pages.openList('Targets');
      await pages.follow(page.getByRole('link', { name: `Remove ${name}`, exact: true }));
      await page.getByText('Deliveries that wait for it or are in progress: 1.').waitFor();
      await page.getByLabel('Waiting deliveries').selectOption({ label: answer });
      if (name === 'moved') await page.locator('[name="to"]').selectOption('spare');
      await page.getByRole('button', { name: 'Remove it in the change' }).click();
      await page.waitForURL('**/configuration');
    }
    await page.getByText('kept is removed, and 1 delivery waits for it').waitFor();
    expect(await target('moved'), 'nothing is in use yet').toMatchObject({ orphaned: false });
    const shown = await apply('three targets leave');
    expect(shown).toContain('moved: 1 moved to spare');
    expect(shown).toContain('cancelled: 1 cancelled');
    expect(Object.keys((await written())['targets'] as Plain)).not.toContain('kept');
    await system.untilDelivery(study, 'spare', ['delivered']);
    expect(await statesAt(study, 'kept')).toEqual(['waiting']);
    expect(await statesAt(study, 'moved')).toEqual(['moved']);
    expect(await statesAt(study, 'cancelled')).toEqual(['cancelled']);
    expect(await target('kept')).toMatchObject({ orphaned: true, counts: { waiting: 1 } });
    expect((await ask('GET', '/api/targets/moved')).status).toBe(404);
  });

  it('at a new address get what is missing there, or everything, as answered', async () => {
    const names = ['same', 'other'] as const;
    const old = await system.upload({ seed: 'addressed', series: 1, instancesPerSeries: 1 });
    for (const name of names) {
      await system.untilDelivery(old, name, ['delivered']);
      expect(await ask('POST', `/api/targets/${name}/pause`)).toMatchObject({ status: 200 });
    }
    const grown = await system.upload({ seed: 'addressed', series: 2, instancesPerSeries: 1 });
    for (const name of names) await system.untilDelivery(grown, name, ['waiting']);
    for (const [index, name] of names.entries()) {
      await pages.openEntry('Targets', name);
      await pages.fill('port', String(scps[index + 1]!.port));
      await page.getByLabel('Confirmations at the previous address').selectOption({
        label: name === 'same' ? 'stay valid: it is the same archive' : 'do not count: it is another archive',
      });
      await pages.save();
    }
    const shown = await apply('two archives have moved');
    expect(shown).toContain('same: existing confirmations stay valid (ledger same)');
    expect(shown).toContain('other: nothing is confirmed (ledger other~2)');
    for (const name of names) await ask('POST', `/api/targets/${name}/resume`);
    for (const name of names)
      await waitFor(async () => (await statesAt(grown, name)).every((state) => state === 'delivered'), {
        message: `all of the study is delivered to ${name}`,
      });
    const received = (index: number): string[] => scps[index]!.stores.map(({ sopInstanceUid }) => sopInstanceUid);
    const all = [...grown.datasets.keys()];
    expect(received(1), 'the same archive').toEqual(all.filter((uid) => !old.datasets.has(uid)));
    expect(received(2).toSorted(), 'another archive').toEqual(all.toSorted());
  });
});

describe('an entry of each kind is added with an error, corrected, edited, duplicated and removed', () => {
  it('groups', async () => {
    await pages.openEntry('Groups', 'Add a group');
    await pages.fill('targets', 'nowhere', '"nowhere" is not among the targets');
    await pages.name('team');
    await pages.fill('targets', 'first');
    await pages.save();
    await pages.openEntry('Groups', 'team');
    await pages.field('strategy').selectOption('all');
    await pages.fill('targets', 'first\nsecond');
    await pages.save();
    await pages.openEntry('Groups', 'Duplicate team');
    await pages.name('twin');
    await pages.save();
    await pages.remove('Groups', 'old');
    await pages.openEntry('Rules', 'all');
    await pages.fill('targets', 'team');
    await pages.save();
    await apply('groups in the browser');
    const team = { targets: ['first', 'second'], strategy: 'all' };
    expect((await written())['groups']).toEqual({ team, twin: team });
    const study = await system.upload({ seed: 'group', instancesPerSeries: 1 });
    for (const name of ['first', 'second']) await system.untilDelivery(study, name, ['delivered']);
  });

  it('transforms', async () => {
    await pages.openEntry('Transforms', 'Add a transform');
    await pages.name('mark');
    await pages.fill('set', 'InstitutionNam: Changed', 'the nearest is InstitutionName');
    await pages.fill('set', 'InstitutionName: Changed');
    await pages.save();
    await pages.openEntry('Transforms', 'mark');
    await pages.fill('set', 'InstitutionName: Changed in the browser');
    await pages.save();
    await pages.openEntry('Transforms', 'Duplicate mark');
    await pages.name('twin');
    await pages.save();
    await pages.remove('Transforms', 'old');
    await pages.openEntry('Targets', 'pacs');
    await pages.fill('transform', 'mark');
    await pages.save();
    await pages.openEntry('Rules', 'all');
    await pages.fill('targets', 'team\npacs');
    await pages.save();
    await apply('transforms in the browser');
    const mark = { set: { InstitutionName: 'Changed in the browser' } };
    expect((await written())['transforms']).toEqual({ mark, twin: mark });
    const study = await system.upload({ seed: 'transform', instancesPerSeries: 1 });
    await system.untilDelivery(study, 'pacs', ['delivered']);
    const [received] = await store.received();
    expect(await readFile(received?.path ?? '', 'latin1')).toContain('Changed in the browser');
  });

  it('tokens', async () => {
    const secrets = { robot: 'robot-token-0123456789', twin: 'twin-token-01234567890' };
    await pages.openEntry('Tokens', 'Add a token');
    await pages.name('robot');
    await pages.fill('token', 'short', 'use at least 20');
    await pages.fill('token', secrets.robot);
    await pages.save();
    await pages.openEntry('Tokens', 'robot');
    await pages.field('role').selectOption('operator');
    await pages.save();
    await pages.openEntry('Tokens', 'Duplicate robot');
    await pages.name('twin');
    await pages.fill('token', secrets.twin);
    await pages.save();
    await pages.disable('Tokens', 'twin');
    await pages.remove('Tokens', 'old');
    await apply('tokens in the browser');
    expect(await written()).toMatchObject({
      console: { tokens: { robot: { role: 'operator' }, twin: { role: 'operator', enabled: false } } },
    });
    expect(await text()).not.toMatch(new RegExp(`${secrets.robot}|${secrets.twin}`));
    const statusFor = async (bearer: string): Promise<number> =>
      (await ask('GET', '/api/targets', undefined, bearer)).status;
    expect(await statusFor(secrets.robot)).toBe(200);
    expect(await statusFor(secrets.twin)).toBe(401);
    expect(await statusFor('old-token-0123456789abcdef')).toBe(401);
  });

  it('e-mails', async () => {
    await pages.openEntry('E-mails', 'Add an e-mail');
    await pages.name('desk');
    await pages.fill('to', 'nobody', 'mail');
    await pages.fill('to', 'desk@clinic.example');
    await pages.save();
    await pages.openEntry('E-mails', 'desk');
    await pages.fill('subject', 'At the desk: {summary}');
    await pages.save();
    await pages.openEntry('E-mails', 'Duplicate desk');
    await pages.name('twin');
    await pages.save();
    await pages.disable('E-mails', 'twin');
    await pages.remove('E-mails', 'old');
    await apply('e-mails in the browser');
    const desk = { to: ['desk@clinic.example'], subject: 'At the desk: {summary}' };
    expect(await written()).toMatchObject({
      console: { notifications: { emails: { desk, twin: { ...desk, enabled: false } } } },
    });
    const { body } = await ask('GET', '/api/notifications');
    expect((body['receivers'] as Plain[]).map(({ name }) => name)).toEqual(['email:desk']);
    await page.goto(`${up.url}/notifications`);
    await page.getByRole('button', { name: 'Send a test to email:desk' }).click();
    await page.getByText('A test message was accepted by email:desk.').waitFor();
    const messages = await waitFor(async () => {
      const all = await mail.messages();
      return all.length > 0 && all;
    });
    expect(messages[0]).toMatch(/^Subject: At the desk/m);
    expect(messages[0]).toMatch(/^To: desk@clinic\.example/m);
  });

  it('defaults of targets', async () => {
    await pages.openEntry('Target defaults', 'DICOM receiver');
    await pages.fill('attempts', 'many', 'is not a number');
    await pages.fill('attempts', '4');
    await pages.save();
    await pages.openEntry('Target defaults', 'DICOM receiver');
    await pages.fill('attempts', '5');
    await pages.save();
    await pages.remove('Target defaults', 'dummy');
    await apply('defaults in the browser');
    expect((await written())['targetDefaults']).toEqual({ dicom: { attempts: 5 } });
    expect(await target('pacs')).toMatchObject({ attempts: 5 });
    expect((await target('first'))['attempts']).not.toBe(7);
    await pages.openEntry('Targets', 'pacs');
    expect(await pages.field('attempts').getAttribute('placeholder')).toBe('from targetDefaults: 5');
  });
});

describe('a draft', () => {
  it('of two editors who save the same entry, has the change of the first, which the second is shown', async () => {
    await pages.openEntry('Groups', 'twin');
    const other = await signIn('berta');
    const editor = new ConfigurationPages(other, `${up.url}/configuration`);
    await editor.openEntry('Groups', 'twin');
    await editor.fill('description', 'of the editor');
    await editor.save();
    await pages.fill('description', 'of the administrator');
    await page.getByRole('button', { name: 'Save to draft' }).click();
    await page.getByText('groups.twin was changed in the meantime (berta: group twin changed)').waitFor();
    await page.reload();
    expect(await pages.field('description').inputValue()).toBe('of the editor');
    await other.close();
  });

  it('survives a restart of the console', async () => {
    await up.restart();
    await page.goto(`${up.url}/configuration`);
    await page.getByText('groups.twin.description is added: "of the editor"').waitFor();
    await apply('after a restart');
    expect(await written()).toMatchObject({ groups: { twin: { description: 'of the editor' } } });
  });

  it('is applied by no service while a dispatcher does not respond, and that one is named', async () => {
    const listen = `127.0.0.1:${healthPort.port}`;
    await using dispatcher = await startServer({
      name: 'second-dispatcher',
      prepare: (cwd) => ({
        command: process.execPath,
        args: [commandLine, 'dispatcher', '--config', up.configFile],
        cwd,
        env: { NODE_COMPILE_CACHE: compileCache, ...process.env, DISPATCHER_HEALTH: listen },
      }),
      isReady: async () => (await httpRequest(`http://${listen}/readyz`)).status === 200,
    });
    await pages.remove('Groups', 'twin');
    const before = await text();
    await dispatcher.kill('SIGSTOP');
    const refused = await pages.apply('while one is suspended', 'Nothing was changed');
    expect(refused).toContain(`dispatcher (${hostname()}-${dispatcher.pid()}) has not responded`);
    expect(await text()).toBe(before);
    await dispatcher.kill('SIGCONT');
    await apply('once it responds');
    expect(Object.keys((await written())['groups'] as Plain)).toEqual(['team']);
  });
});

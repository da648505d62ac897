import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { text as readText } from 'node:stream/consumers';
import { launchBrowser, waitFor, type Browser, type Page } from '@dicom-dispatch/harness';
import { parse } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { people, startConsoleScene, type ConsoleScene } from './console-scene.ts';

let scene: ConsoleScene;
let browser: Browser & AsyncDisposable;
let axe: string;
/** Hosts that received a request from any page. */
const hosts = new Set<string>();

beforeAll(async () => {
  [scene, browser, axe] = await Promise.all([
    startConsoleScene(),
    launchBrowser(),
    readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'),
  ]);
  await scene.uploadDemo();
});
afterAll(async () => {
  await browser?.close();
  await scene?.[Symbol.asyncDispose]();
});

async function open(options: Parameters<Browser['newPage']>[0] = {}): Promise<Page> {
  const page = await browser.newPage(options);
  page.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol !== 'data:' && protocol !== 'blob:') hosts.add(host);
  });
  return page;
}

const signedIn = new Map<string, Awaited<ReturnType<ReturnType<Page['context']>['cookies']>>>();

/** A page of a signed-in user; a user who has signed in before needs no password. */
async function signIn(name: keyof typeof people, options: Parameters<Browser['newPage']>[0] = {}): Promise<Page> {
  const page = await open(options);
  const cookies = signedIn.get(name);
  if (cookies) {
    await page.context().addCookies(cookies);
    await page.goto(`${scene.url}/studies`);
    return page;
  }
  await page.goto(`${scene.url}/studies`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(people[name]);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/studies');
  signedIn.set(name, await page.context().cookies());
  return page;
}

/**
 * Violations of WCAG 2.2 A and AA that axe-core finds, as text: all rules in the light theme, only colours in the dark one.
 */
async function violations(page: Page, colorScheme: 'light' | 'dark'): Promise<string[]> {
  return page.evaluate(async (scheme) => {
    const run = (globalThis as unknown as { axe: { run(o: object): Promise<{ violations: Found[] }> } }).axe.run;
    interface Found {
      id: string;
      nodes: { html: string; failureSummary: string }[];
    }
    const all = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const runOnly = scheme === 'light' ? all : ['color-contrast', 'link-in-text-block'];
    // Without details of what passes.
    const found = await run({ runOnly, resultTypes: ['violations'] });
    return found.violations.flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.html.slice(0, 200)} ${node.failureSummary}`),
    );
  }, colorScheme);
}

async function check(page: Page, path: string): Promise<void> {
  await page.goto(scene.url + path);
  await page.evaluate(axe);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    expect(await violations(page, colorScheme), `${path}, ${colorScheme}`).toEqual([]);
  }
  const isTooWide = 'document.documentElement.scrollWidth > document.documentElement.clientWidth';
  // A phone, a page at 200 %, a tablet across, a monitor.
  for (const width of [390, 800, 1024, 1440]) {
    await page.setViewportSize({ width, height: 800 });
    expect(await page.evaluate<boolean>(isTooWide), `${path} is wider than ${width} pixels`).toBe(false);
  }
}

/** Calls the API from inside a page, as a script in the page would. */
async function askFrom(
  page: Page,
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<number> {
  return page.evaluate(async ([how, where, more]) => (await fetch(where, { method: how, headers: more })).status, [
    method,
    path,
    headers,
  ] as const);
}

describe('the console in a browser', () => {
  it("Bull Board's own buttons work for an operator, and not for a viewer", async () => {
    const partial = async () => (await scene.system.records.deliveries({ state: 'partial', limit: 1 })).records[0];
    const { deliveryId } = (await partial()) ?? { deliveryId: '' };
    const job = `/queues/queue/target-workstation/${deliveryId}`;
    const viewer = await signIn('vera');
    await viewer.goto(scene.url + job);
    await viewer.getByText(deliveryId).first().waitFor();
    await viewer.getByRole('button', { name: 'Full screen' }).waitFor();
    expect(await viewer.getByRole('button', { name: /^(Retry|Remove|Promote)/ }).count()).toBe(0);
    const csrf = (await viewer.locator('meta[name="csrf-token"]').getAttribute('content')) ?? '';
    const retry = `/queues/api/queues/target-workstation/${deliveryId}/retry`;
    expect(await askFrom(viewer, 'PUT', retry, { 'x-xsrf-token': csrf })).toBe(403);
    await viewer.close();

    const page = await signIn('otto');
    await page.goto(scene.url + job);
    await page.getByRole('button', { name: 'Retry', exact: true }).waitFor();
    // Actions that every user is denied have no button: changing the job's data, or creating another job from it.
    expect(await page.locator('#root button[hidden]').count()).toBe(2);
    const answer = page.waitForResponse((response) => response.request().method() === 'PUT');
    await page.getByRole('button', { name: 'Retry', exact: true }).click();
    await page.getByRole('button', { name: /confirm/i }).click();
    expect((await answer).status()).toBe(204);
    await page.close();
    const events = await scene.system.records.events(deliveryId);
    expect(events.map(({ text }) => text)).toContain('retried by otto');
    // A second attempt is rejected, too.
    await waitFor(async () => (await partial())?.attempts === 2, { message: 'the second attempt' });
  });

  it('a delivery that did not arrive is found by accession, understood, retried and seen to arrive', async () => {
    const page = await signIn('otto');
    const row = page.locator('tbody tr', { hasText: 'partial' });
    const accession = (await row.locator('td').nth(1).innerText()).trim();
    await page.getByRole('searchbox').fill(accession);
    await page.getByRole('button', { name: 'Search' }).click();
    await page.waitForURL('**/studies?search=*');
    expect(await page.locator('tbody tr').count()).toBe(1);
    await page.locator('tbody tr').getByRole('link').first().click();
    const delivery = page.getByRole('region', { name: 'Delivery to workstation' });
    expect(await delivery.locator('.note').innerText()).toMatch(
      /\d+ of \d+ instances are confirmed and \d+ are quarantined/,
    );
    expect(
      await page.locator('.thumb img').evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth),
    ).toBeGreaterThan(50);

    const before = scene.workstation.stores.length;
    const refused = (await scene.system.records.deliveries({ state: 'partial', limit: 1 })).records[0]?.quarantined;
    scene.workstation.answer = () => 0;
    await delivery.getByRole('button', { name: 'Retry' }).click();
    // No reload: the page receives the update.
    await delivery.getByText('It is delivered: the target has confirmed all').waitFor();
    expect(scene.workstation.stores.length - before).toBe(refused);
    expect(await delivery.locator('.timeline').textContent()).toContain('retried by otto');
    await page.close();
  });

  it('the receipt of a study is found on its page, shows the result of each instance, and can be saved as a file', async () => {
    const page = await signIn('vera');
    const { deliveryId } = (await scene.system.records.deliveries({ state: 'delivered', limit: 1 })).records[0]!;
    const { orthancStudyId, target, total } = (await scene.system.records.delivery(deliveryId))!;
    await page.goto(`${scene.url}/studies/main/${orthancStudyId}`);
    await page
      .getByRole('link', { name: `Receipt of ${target}` })
      .first()
      .click();
    await page.waitForURL(`**/studies/main/${orthancStudyId}/receipt?target=${target}`);
    const receipt = page.getByRole('region', { name: `Receipt of ${target}` });
    expect(await receipt.getByRole('paragraph').first().innerText()).toContain(`${total} instance`);
    const rows = receipt.locator('tbody tr');
    expect(await rows.count()).toBe(total);
    for (const row of await rows.all()) expect(await row.innerText()).toMatch(/delivered[\s\S]*[0-9a-f]{8}/);
    for (const name of ['CSV', 'JSON']) {
      const link = await page.getByRole('link', { name, exact: true }).getAttribute('href');
      const file = await page.evaluate(async (url) => (await fetch(url)).text(), link ?? '');
      expect(file).toContain(target);
      expect(file.match(/[0-9a-f]{64}/g)?.length).toBe(total);
    }
    await check(page, new URL(page.url()).pathname);
    await page.close();
  });

  it('a study is held, released and cancelled; a target is paused and resumed, tested and limited', async () => {
    const page = await signIn('otto');
    await page.goto(`${scene.url}/deliveries?target=cloud&state=waiting`);
    const row = page.locator('tbody tr').first();
    await row.getByRole('button', { name: /^Hold/ }).click();
    await row.locator('.chip.held').waitFor();
    await row.getByRole('button', { name: /^Release/ }).click();
    await row.locator('.chip.waiting').waitFor();

    await page.goto(`${scene.url}/targets/cloud`);
    await page.getByRole('button', { name: 'Test connection' }).click();
    await page.getByText('The target cannot be used.').waitFor();
    await page.getByRole('button', { name: /^Pause/ }).click();
    await page.locator('#target .chip', { hasText: 'paused' }).waitFor();
    await page.getByRole('button', { name: /^Resume/ }).click();
    await page.locator('#target .chip', { hasText: 'paused' }).waitFor({ state: 'detached' });
    await page.getByLabel('In parallel').fill('3');
    await page.locator('form[data-path$="/concurrency"] button').click();
    await page.getByText('Limit set.').waitFor();
    const token = { authorization: 'Bearer scene-token-0123456789abcdef' };
    const answer = await fetch(`${scene.url}/api/targets/cloud`, { headers: token });
    expect(await answer.json()).toMatchObject({ concurrency: 3, paused: false });

    await page.goto(`${scene.url}/deliveries?target=cloud&state=waiting`);
    await page.getByRole('button', { name: 'Cancel …' }).click();
    await page.locator('#ask-text', { hasText: 'Cancel 1 delivery?' }).waitFor();
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByText('No delivery matches').waitFor();
    const counts = await scene.system.records.counts('cloud');
    expect(counts).toMatchObject({ cancelled: 1, waiting: 0 });
    await page.close();
  });

  it('a study is sent to another target independent of the rules, and the rules are tested in a dry run', async () => {
    const page = await signIn('otto');
    await page.goto(`${scene.url}/rules`);
    await page.getByLabel('Study').fill('CT');
    await page.getByRole('button', { name: 'Try' }).click();
    await page.getByText('would go to').waitFor();
    await page.getByRole('link', { name: 'This study' }).click();
    await page.locator('select[name="targets"]').selectOption('workstation');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    const delivery = page.getByRole('region', { name: 'Delivery to workstation' });
    await delivery.getByText('It is delivered').waitFor();
    await page.close();
  });

  it('a viewer sees everything and can change nothing; without the token of the page nobody can', async () => {
    const viewer = await signIn('vera');
    for (const path of [
      '/studies',
      '/deliveries',
      '/targets',
      '/targets/cloud',
      '/sources',
      '/rules',
      '/workers',
      '/cache',
    ]) {
      await viewer.goto(scene.url + path);
      expect(
        await viewer.getByRole('button', { name: /Retry|Hold|Cancel|Pause|Resume|Route|Send|Set/ }).count(),
        path,
      ).toBe(0);
    }
    expect(await viewer.getByRole('link', { name: 'Audit' }).count()).toBe(0);
    const csrf = (await viewer.locator('meta[name="csrf-token"]').getAttribute('content')) ?? '';
    expect(await askFrom(viewer, 'POST', '/api/targets/cloud/pause', { 'x-xsrf-token': csrf })).toBe(403);
    expect(await askFrom(viewer, 'GET', '/api/audit')).toBe(403);
    await viewer.close();

    const operator = await signIn('otto');
    expect(await askFrom(operator, 'POST', '/api/targets/cloud/pause')).toBe(403);
    expect(await askFrom(operator, 'POST', '/api/targets/cloud/pause', { 'x-xsrf-token': csrf })).toBe(403);
    const cookies = await operator.context().cookies();
    expect(cookies.find(({ name }) => name === 'dispatch')).toMatchObject({ httpOnly: true, sameSite: 'Lax' });
    await operator.getByRole('button', { name: 'Sign out' }).click();
    await operator.waitForURL('**/sign-in');
    signedIn.delete('otto');
    expect(await askFrom(operator, 'GET', '/api/overview')).toBe(401);
    await operator.close();
  });

  it('whose session has ended signs in again in two clicks, on the page where they were', async () => {
    const page = await signIn('otto');
    await page.goto(`${scene.url}/targets?from=session`);
    await page.context().clearCookies();
    await page.getByRole('alert').getByText('Your session has ended').waitFor();
    await page.getByRole('link', { name: 'Sign in again' }).click();
    await page.getByLabel('Name').fill('otto');
    await page.getByLabel('Password').fill(people.otto);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL('**/targets?from=session');
    signedIn.set('otto', await page.context().cookies());
    await page.close();
  });

  it('a wrong password is rejected without details, and recorded', async () => {
    const page = await open();
    await page.goto(`${scene.url}/sign-in`);
    await page.getByLabel('Name').fill('otto');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    expect(await page.getByRole('alert').innerText()).toBe('The name or the password is wrong.');
    await page.close();
    const administrator = await signIn('ada');
    await administrator.goto(`${scene.url}/audit`);
    expect(await administrator.locator('tbody tr', { hasText: 'wrong password' }).first().innerText()).toContain(
      'otto',
    );
    await administrator.close();
  });

  it('every page passes an automated accessibility check, light and dark, and none is wider than the window', async () => {
    const page = await signIn('ada');
    const study = (await scene.system.records.studies({ limit: 1 })).records[0];
    const [delivery] = (await scene.system.records.deliveries({ limit: 1 })).records;
    const paths = [
      '/',
      '/studies',
      '/studies?search=nothing-like-this',
      `/studies/main/${study?.studyInstanceUid}`,
      '/deliveries',
      `/deliveries/${delivery?.deliveryId}`,
      '/targets',
      '/targets/cloud',
      '/sources',
      '/rules?search=CT',
      '/workers',
      '/cache',
      '/batches',
      '/fetch?target=pacs&accession=none',
      '/notifications',
      '/targets/cloud/audit',
      '/audit',
      '/configuration',
      '/configuration/targets',
      '/configuration/target?type=sftp',
      '/configuration/rules',
      '/configuration/rule',
      '/configuration/target/remove?name=cloud',
      '/configuration/entries?kind=sources',
      '/configuration/entry?kind=users',
      '/test-study',
    ];
    for (const path of paths) await check(page, path);
    await page.close();
    const anyone = await open();
    await check(anyone, '/sign-in');
    await anyone.close();
  });

  it('choosing from a filter with the arrows changes nothing until it is applied (WCAG 3.2.2)', async () => {
    const page = await signIn('otto');
    let loads = 0;
    page.on('framenavigated', () => (loads += 1));
    await page.getByLabel('State').focus();
    for (let step = 0; step < 3; step += 1) await page.keyboard.press('ArrowDown');
    const chosen = await page.getByLabel('State').inputValue();
    expect(chosen).not.toBe('');
    expect(loads).toBe(0);
    await page.getByRole('button', { name: 'Search' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/studies?*state=${chosen}*`);
    expect(await page.locator('footer').innerText()).toMatch(
      /dicom-dispatch \d+\.\d+\.\d+.*Times: \S+ \(of this browser\)/s,
    );
    await page.close();
  });

  it('pages are used by the keyboard alone', async () => {
    const page = await signIn('otto');
    await page.keyboard.press('Tab');
    expect(await page.evaluate<string>('document.activeElement.textContent')).toBe('Skip to content');
    await page.keyboard.press('Enter');
    await page.keyboard.press('/');
    expect(await page.evaluate<string>('document.activeElement.type')).toBe('search');
    await page.keyboard.type('Chest');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/studies?search=Chest*');
    expect(await page.locator('tbody tr').count()).toBe(1);
    await page.close();
  });

  it('the metrics have all that the dashboard, the alert rules and the issue of a day ask for', async () => {
    const answer = await fetch(`${scene.url}/metrics`, {
      headers: { authorization: 'Bearer scene-token-0123456789abcdef' },
    });
    const answerText = await answer.text();
    const labels = new Map<string, Set<string>>();
    for (const [, name = '', list = ''] of answerText.matchAll(/^([a-z_][a-z0-9_]*)(?:\{([^}]*)\})? /gm)) {
      const known = labels.get(name) ?? new Set();
      for (const [, label = ''] of list.matchAll(/(\w+)="/g)) known.add(label);
      labels.set(name, known);
    }
    const folder = new URL('../../deploy/grafana/', import.meta.url);
    const dashboard = JSON.parse(await readFile(new URL('dashboard.json', folder), 'utf8')) as {
      panels: { targets: { expr: string }[] }[];
    };
    const { groups } = parse(await readFile(new URL('alerts.yaml', folder), 'utf8')) as {
      groups: { rules: { expr: string }[] }[];
    };
    const expressions = [
      ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
      ...groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
    ];
    expect(expressions.length).toBeGreaterThan(25);
    for (const expression of expressions) {
      const names = expression.match(/\b(dispatch|nodejs|process)_[a-z0-9_]+/g) ?? [];
      expect(names.length, expression).toBeGreaterThan(0);
      for (const name of names) {
        expect(answerText, expression).toMatch(new RegExp(`^# TYPE ${name.replace(/_bucket$/, '')} `, 'm'));
        // A metric without a value shows no labels.
        const known = labels.get(name);
        if (!known) continue;
        const asked = [...expression.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/));
        if (names.length === 1) for (const label of asked) expect(known, `${label} of ${name}`).toContain(label);
      }
    }
    // Counts, durations and bytes by target, stage and code; queues, ages, circuits, feed, cache, event loop.
    for (const series of [
      /^dispatch_deliveries_ended_total\{target="pacs",state="delivered"\} [1-9]/m,
      /^dispatch_attempts_failed_total\{target="cloud",stage="connect",code="target-unreachable"\} [1-9]/m,
      /^dispatch_instances_quarantined_total\{target="workstation",code="[a-z-]+"\} [1-9]/m,
      /^dispatch_sent_bytes_total\{target="pacs"\} [1-9]/m,
      /^dispatch_stage_duration_seconds_count\{target="pacs",stage="transfer"\} [1-9]/m,
      /^dispatch_stage_duration_seconds_count\{target="cloud",stage="connect"\} [1-9]/m,
      /^dispatch_attempt_duration_seconds_count\{target="pacs",state="delivered"\} [1-9]/m,
      /^dispatch_queue_jobs\{target="pacs",state="completed"\} [1-9]/m,
      /^dispatch_oldest_waiting_seconds\{target="cloud"\}/m,
      /^dispatch_circuit_open\{target="(cloud|pacs)"\} [01]/m,
      /^dispatch_feed_lag_changes\{source="main"\} \d/m,
      /^dispatch_source_followed\{source="main"\} 1/m,
      /^# TYPE dispatch_cache_hits_total counter/m,
      /^nodejs_eventloop_lag_p99_seconds \d/m,
    ]) {
      expect(answerText).toMatch(series);
    }
    expect(answerText).not.toMatch(/Geheim|Exempel|A\d{8}/);
    // Present from the start, even if nothing has happened yet.
    for (const series of [
      /^dispatch_build_info\{version="\d+\.\d+\.\d+",node="\d/m,
      /^dispatch_routers 1$/m,
      /^dispatch_source_up\{source="main"\} [01]$/m,
      /^dispatch_deliveries_ended_total\{target="cloud",state="partial"\} 0$/m,
      /^dispatch_studies_routed_total\{source="main",outcome="no-rule"\} 0$/m,
    ]) {
      expect(answerText).toMatch(series);
    }
    expect(await checkedByPrometheus(answerText)).toBe('');
  });

  it('Bull Board shows its pages, contacts no other host, and offers neither editing of job data nor details of Redis', async () => {
    const page = await signIn('ada');
    const [delivery] = (await scene.system.records.deliveries({ target: 'pacs', state: 'delivered', limit: 1 }))
      .records;
    const id = delivery?.deliveryId ?? '';
    for (const [path, text] of [
      ['', 'Completed'],
      ['/queue/study', 'Completed'],
      ['/queue/target-pacs', 'Completed'],
      [`/queue/target-pacs/${id}`, id],
    ] as const) {
      await page.goto(`${scene.url}/queues${path}`);
      await page.getByText(text).first().waitFor();
      await page.waitForLoadState('networkidle');
      expect(await page.getByRole('button', { name: /edit|update data|redis/i }).count(), path).toBe(0);
      // Its headings and landmarks are its own, and no matter of WCAG.
      const own = /^(page-has-heading-one|heading-order|region):/;
      await page.evaluate(axe);
      const found = (await violations(page, 'light')).filter((one) => !own.test(one));
      expect(found, path).toEqual([]);
    }
    const { label } = (
      (await (
        await fetch(`${scene.url}/api/studies?limit=1`, {
          headers: { authorization: 'Bearer scene-token-0123456789abcdef' },
        })
      ).json()) as { studies: { label: { patientName: string; patientId: string; accessionNumber: string } }[] }
    ).studies[0] ?? {
      label: undefined,
    };
    const shown = await page.content();
    for (const word of [label?.patientId, label?.accessionNumber, label?.patientName]) {
      expect(word).toBeTruthy();
      expect(shown).not.toContain(word);
    }
    await page.close();
  });

  it('no page contacts another host', () => {
    expect([...hosts]).toEqual([new URL(scene.url).host]);
  });
});

/** The output of Prometheus' own checker for the metrics: empty if they follow its rules. */
async function checkedByPrometheus(metrics: string): Promise<string> {
  const tool = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
  tool.stdin.end(metrics);
  const [out, problems] = await Promise.all([readText(tool.stdout), readText(tool.stderr)]);
  return out + problems;
}

import { launchBrowser, type Browser, type Page } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestConsole, type TestConsole } from '../testing/start-test-console.ts';

let test: TestConsole;
let browser: Browser & AsyncDisposable;
beforeAll(async () => {
  [test, browser] = await Promise.all([startTestConsole(), launchBrowser()]);
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await test?.[Symbol.asyncDispose]();
});

/** The requests of a page that change something. */
function changesOf(page: Page): string[] {
  const changes: string[] = [];
  page.on('request', (request) => {
    if (request.method() !== 'GET') changes.push(new URL(request.url()).pathname);
  });
  return changes;
}

describe('a double click', () => {
  it('acts once: its second click does not hit the button that takes the place of the first', async () => {
    const { a } = await test.route();
    const page = await browser.newPage();
    const changes = changesOf(page);
    await page.goto(`${test.url}/deliveries/${a}`);
    const hold = await page.getByRole('button', { name: /^Hold/ }).boundingBox();
    if (!hold) throw new Error('there is no button');
    await page.mouse.move(hold.x + hold.width / 2, hold.y + hold.height / 2);
    await page.mouse.down();
    await page.mouse.up();
    await page.locator('.chip.held').waitFor();
    await page.mouse.down({ clickCount: 2 });
    await page.mouse.up({ clickCount: 2 });
    // A single click on each button still sends its request.
    await page
      .getByRole('button', { name: /^Release/ })
      .first()
      .click();
    await page.locator('.chip.waiting').waitFor();
    expect(changes).toEqual([`/api/deliveries/${a}/hold`, `/api/deliveries/${a}/release`]);
    await page.close();
  });

  it('and a second Enter send a form once, also while its preview is awaited', async () => {
    const page = await browser.newPage();
    const changes = changesOf(page);
    await page.goto(`${test.url}/batches`);
    const isAsked = Promise.withResolvers<void>();
    await page.route('**/api/batches/preview', async (route) => {
      await isAsked.promise;
      await route.fulfill({ json: { count: 5 } });
    });
    await page.route('**/api/batches', (route) => route.fulfill({ json: {} }));
    const field = page.getByLabel('Studies per minute');
    await field.press('Enter');
    await field.press('Enter');
    await page.getByRole('button', { name: 'Route …' }).dblclick();
    isAsked.resolve();
    await page.locator('#ask-text', { hasText: 'Route 5 studies of main by the rules?' }).waitFor();
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByText('The batch has started.').waitFor();
    expect(changes).toEqual(['/api/batches/preview', '/api/batches']);
    await page.close();
  });
});

it('an act is undone from its notice', async () => {
  const { a } = await test.route();
  const page = await browser.newPage();
  await page.goto(`${test.url}/deliveries/${a}`);
  await page.getByRole('button', { name: /^Cancel/ }).click();
  await page.getByRole('button', { name: 'Confirm' }).click();
  await page.locator('.chip.cancelled').waitFor();
  await page.locator('#notices').getByRole('button', { name: 'Resume' }).click();
  await page.locator('.chip.waiting').waitFor();
  await page.close();
});

it('a reason is confirmed with Enter, and nobody has to give one to go back', async () => {
  const { a } = await test.route();
  await test.operations.records.update(a, { state: 'failed' });
  const page = await browser.newPage();
  await page.goto(`${test.url}/deliveries/${a}`);
  const resolve = page.getByRole('button', { name: /^Resolve/ });
  await resolve.click();
  await page.getByRole('button', { name: 'Go back' }).click();
  await page.locator('#ask').waitFor({ state: 'hidden' });
  await resolve.click();
  await page.getByLabel('Reason').fill('sent from the modality');
  await page.getByLabel('Reason').press('Enter');
  await page.getByText('Resolved: the delivery to a no longer counts as failed.').waitFor();
  await page.close();
});

it('rows keep their places while the pointer is among them, and follow the list when it leaves', async () => {
  const before = await test.route();
  const page = await browser.newPage();
  await page.goto(`${test.url}/deliveries`);
  const first = page.locator('tbody tr').first();
  const key = await first.getAttribute('data-key');
  await first.hover();
  const after = await test.route();
  await test.ask('POST', `/api/deliveries/${before.a}/hold`);
  // The content of the rows is up to date.
  await page.locator(`tr[data-key="${before.a}"] .chip.held`).waitFor();
  expect(await first.getAttribute('data-key')).toBe(key);
  await page.getByRole('heading', { name: 'Deliveries' }).hover();
  await page.locator(`tr[data-key="${after.a}"]`).waitFor();
  expect(await first.getAttribute('data-key')).toBe(before.a);
  await page.close();
});

it('pages report a lost network, Redis or console, and recover by themselves', async () => {
  const page = await browser.newPage();
  await page.goto(`${test.url}/studies`);
  const banner = page.getByRole('alert');
  /** Triggers a check: the page checks every five seconds, and when it becomes visible. */
  const look = () => page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
  await page.context().setOffline(true);
  await banner.getByText(/^This computer has no network\. The data shown is from \d/).waitFor();
  await page.context().setOffline(false);
  await banner.waitFor({ state: 'hidden' });
  await test.server.kill('SIGSTOP');
  await look();
  await banner.getByText(/^Redis does not respond: /).waitFor();
  await test.server.kill('SIGCONT');
  await look();
  await banner.waitFor({ state: 'hidden' });
  await test.console.stop();
  await look();
  await banner.getByText(/^The console does not respond\. The data shown is from \d/).waitFor();
  await page.close();
});

/**
 * Pictures of every page of the console, taken from the whole system with real servers:
 *
 *   ./dispatch pnpm exec node test/e2e/console-screenshots.ts [FOLDER]
 *
 * Those in docs/images are made anew: each page with a few studies, and where it looks another way also without data, with
 * 10,000 studies, dark, and on a tablet. With a FOLDER every page is taken in each of these ways, for looking through.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { launchBrowser, type Browser, type Page } from '@dicom-dispatch/harness';
import { seedRecords } from './console-seed.ts';
import { people, startConsoleScene } from './console-scene.ts';

const images = join(import.meta.dirname, '../../docs/images');
const folder = process.argv[2];
const lists = ['studies', 'deliveries', 'targets', 'sources', 'rules', 'workers', 'cache', 'audit', 'queues'] as const;
const desktop = { width: 1360, height: 850 };
const tablet = { width: 810, height: 1080 };

/** What is kept in docs/images beside every page with a few studies. */
const kept: ReadonlySet<string> = new Set([
  ...['studies', 'deliveries', 'targets', 'workers'].map((page) => `${page}-empty`),
  ...['studies', 'deliveries', 'targets'].map((page) => `${page}-many`),
  ...['studies', 'targets'].map((page) => `${page}-dark`),
  ...['studies', 'deliveries', 'targets', 'target'].map((page) => `${page}-tablet`),
]);

await mkdir(images, { recursive: true });
if (folder !== undefined) await mkdir(folder, { recursive: true });

await using scene = await startConsoleScene();
await using browser = await launchBrowser();

const page = await signedIn({ viewport: desktop });
await takeLists(page, '-empty');
await scene.uploadDemo();
await takeLists(page, '');
await takeSingle(page, '');
const anyone = await browser.newPage({ viewport: desktop });
await anyone.goto(`${scene.url}/studies`);
await anyone.screenshot({ path: join(images, 'sign-in.png') });
for (const [suffix, options] of [
  ['-dark', { viewport: desktop, colorScheme: 'dark' }],
  ['-tablet', { viewport: tablet }],
] as const) {
  const other = await signedIn(options);
  await takeLists(other, suffix);
  await takeSingle(other, suffix);
  await other.close();
}
await seedRecords(scene.system.client, 10_000, ['pacs', 'archive', 'workstation', 'cloud']);
await takeLists(page, '-many');
await takeSingle(page, '-many');
await browser.close();

/** Where a picture goes; undefined: nowhere. */
function pathOf(name: string, suffix: string): string | undefined {
  if (suffix === '' || kept.has(`${name}${suffix}`)) return join(images, `${name}${suffix}.png`);
  return folder === undefined ? undefined : join(folder, `${name}${suffix}.png`);
}

async function takeLists(on: Page, suffix: string): Promise<void> {
  for (const name of lists) {
    const path = pathOf(name, suffix);
    if (path === undefined) continue;
    await on.goto(`${scene.url}/${name === 'rules' ? 'rules?search=CT*' : name}`, { waitUntil: 'load' });
    if (name === 'queues') await on.getByText('Completed').first().waitFor();
    await take(on, path, name !== 'queues' && suffix !== '-many');
  }
}

/** The pages about one thing: a study, a delivery, and a target after its test. */
async function takeSingle(on: Page, suffix: string): Promise<void> {
  const [study, delivery, target] = ['study', 'delivery', 'target'].map((name) => pathOf(name, suffix));
  if (study !== undefined) {
    await on.goto(`${scene.url}/studies?search=CT*`);
    await on.locator('tbody tr', { hasText: 'cloud' }).first().getByRole('link').first().click();
    await on.locator('#study').waitFor();
    await take(on, study, true);
  }
  if (delivery !== undefined) {
    await on.goto(`${scene.url}/deliveries?state=partial&target=workstation`);
    await on.locator('tbody tr a.plain-link').first().click();
    await on.locator('#delivery').waitFor();
    await take(on, delivery, true);
  }
  if (target !== undefined) {
    await on.goto(`${scene.url}/targets/cloud`);
    await on.getByRole('button', { name: 'Test connection' }).click();
    await on.locator('#test-result .note').waitFor();
    await take(on, target, true);
  }
}

async function take(on: Page, path: string, fullPage: boolean): Promise<void> {
  await on.evaluate('Promise.all([...document.images].map((image) => image.decode().catch(() => {})))');
  await on.screenshot({ path, fullPage });
}

async function signedIn(options: Parameters<Browser['newPage']>[0]): Promise<Page> {
  const made = await browser.newPage(options);
  await made.goto(`${scene.url}/sign-in`);
  await made.getByLabel('Name').fill('ada');
  await made.getByLabel('Password').fill(people.ada);
  await made.getByRole('button', { name: 'Sign in' }).click();
  await made.waitForURL('**/studies');
  return made;
}

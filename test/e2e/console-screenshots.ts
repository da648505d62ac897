/**
 * Pictures of every page of the console for docs/images, taken from the whole system with real servers:
 *
 *   ./dispatch pnpm exec node test/e2e/console-screenshots.ts [FOLDER]
 *
 * With a FOLDER it also writes what is only for looking: every page without data, with 10,000 studies, dark, and on a tablet.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { launchBrowser, type Browser, type Page } from '@dicom-dispatch/harness';
import { seedRecords } from './console-seed.ts';
import { people, startConsoleScene, type ConsoleScene } from './console-scene.ts';

const images = join(import.meta.dirname, '../../docs/images');
const more = process.argv[2];
const pages = ['studies', 'deliveries', 'targets', 'sources', 'rules', 'workers', 'cache', 'audit', 'queues'] as const;
const desktop = { width: 1360, height: 850 };
const tablet = { width: 810, height: 1080 };

await mkdir(images, { recursive: true });
if (more !== undefined) await mkdir(more, { recursive: true });

await using scene = await startConsoleScene();
await using browser = await launchBrowser();

if (more !== undefined) {
  const page = await signedIn(browser, scene, { viewport: desktop });
  for (const name of pages) await picture(page, scene, name, join(more, `empty-${name}.png`));
  await page.close();
}
await scene.uploadDemo();
const page = await signedIn(browser, scene, { viewport: desktop });
for (const name of pages) await picture(page, scene, name, join(images, `${name}.png`));
await single(page, images, '');
const anyone = await browser.newPage({ viewport: desktop });
await anyone.goto(`${scene.url}/studies`);
await anyone.screenshot({ path: join(images, 'sign-in.png') });

if (more !== undefined) {
  const dark = await signedIn(browser, scene, { viewport: desktop, colorScheme: 'dark' });
  for (const name of pages) await picture(dark, scene, name, join(more, `dark-${name}.png`));
  await single(dark, more, 'dark-');
  const small = await signedIn(browser, scene, { viewport: tablet });
  for (const name of pages) await picture(small, scene, name, join(more, `tablet-${name}.png`));
  await single(small, more, 'tablet-');
  await seedRecords(scene.system.client, 10_000, ['pacs', 'archive', 'workstation', 'cloud']);
  for (const name of pages) await picture(page, scene, name, join(more, `many-${name}.png`));
}
await browser.close();

/** The pages about one thing: a study, a delivery, a target, and a dry run. */
async function single(page: Page, folder: string, prefix: string): Promise<void> {
  await page.goto(`${scene.url}/studies`);
  await page.locator('tbody tr', { hasText: 'CT' }).first().getByRole('link').first().click();
  await page.locator('#study').waitFor();
  await page.waitForLoadState('networkidle').catch(() => undefined);
  await page.screenshot({ path: join(folder, `${prefix}study.png`), fullPage: true });
  await page.goto(`${scene.url}/deliveries?state=partial`);
  await page.locator('tbody tr a.plain-link').first().click();
  await page.locator('#delivery').waitFor();
  await page.screenshot({ path: join(folder, `${prefix}delivery.png`), fullPage: true });
  await page.goto(`${scene.url}/targets/cloud`);
  await page.getByRole('button', { name: 'Test connection' }).click();
  await page.locator('#test-result .note').waitFor();
  await page.screenshot({ path: join(folder, `${prefix}target.png`), fullPage: true });
}

async function picture(page: Page, { url }: ConsoleScene, name: string, path: string): Promise<void> {
  await page.goto(name === 'rules' ? `${url}/rules?search=CT*` : `${url}/${name}`, { waitUntil: 'load' });
  if (name === 'queues') await page.getByText('Completed').first().waitFor();
  await page.screenshot({ path, fullPage: name !== 'queues' });
}

async function signedIn(
  browser: Browser,
  { url }: ConsoleScene,
  options: Parameters<Browser['newPage']>[0],
): Promise<Page> {
  const page = await browser.newPage(options);
  await page.goto(`${url}/sign-in`);
  await page.getByLabel('Name').fill('ada');
  await page.getByLabel('Password').fill(people.ada);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/studies');
  return page;
}

/**
 * Screenshots of every page of the console, taken from the whole system with real servers:
 *
 *   ./dispatch pnpm exec node test/e2e/console-screenshots.ts [FOLDER]
 *
 * Each page is captured without data, with a few studies and with 10,000; at the width of a phone, of a page at 200 % and of
 * a monitor; light and dark. They are combined into one sheet per page in docs/images. With a FOLDER, the individual
 * screenshots are also kept there for inspection.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchBrowser, type Page } from '@dicom-dispatch/harness';
import { seedRecords } from './console-seed.ts';
import { people, startConsoleScene } from './console-scene.ts';

const images = join(import.meta.dirname, '../../docs/images');
const [folder = await mkdtemp(join(tmpdir(), 'screenshots-'))] = process.argv.slice(2);
const lists = {
  health: '/',
  studies: '/studies',
  deliveries: '/deliveries',
  batches: '/batches',
  targets: '/targets',
  target: '/targets/workstation',
  'target-audit': '/targets/workstation/audit',
  sources: '/sources',
  rules: '/rules?search=CT*',
  workers: '/workers',
  cache: '/cache',
  fetch: '/fetch',
  notifications: '/notifications',
  'test-study': '/test-study',
  audit: '/audit',
  configuration: '/configuration',
  'configuration-targets': '/configuration/targets',
  'configuration-target': '/configuration/target?name=workstation',
  'configuration-rules': '/configuration/rules',
  'configuration-rule': '/configuration/rule?name=hearts',
  'configuration-entries': '/configuration/entries?kind=users',
  queues: '/queues',
} as const;
const pages = [...Object.keys(lists), 'study', 'delivery', 'receipt', 'sign-in'];
const amounts = ['none', 'few', 'many'] as const;
type Amount = (typeof amounts)[number];
const sizes = [
  { width: 390, height: 844 },
  { width: 800, height: 900 },
  { width: 1440, height: 900 },
] as const;
const schemes = ['light', 'dark'] as const;
/** How large a picture is on a sheet. */
const scale = 0.3;

await mkdir(images, { recursive: true });
await mkdir(folder, { recursive: true });
await using scene = await startConsoleScene();
await using browser = await launchBrowser();
const cookies = await signIn();

await takeAll('none');
await scene.uploadDemo();
await takeAll('few');
await seedRecords(scene.system.client, 10_000, ['pacs', 'archive', 'workstation', 'cloud']);
await takeAll('many');
for (const name of pages) await composeSheet(name);
if (process.argv[2] === undefined) await rm(folder, { recursive: true });

/** All pages, in each size and scheme. */
async function takeAll(amount: Amount): Promise<void> {
  const paths: Record<string, string> = { ...lists, ...(amount !== 'none' && (await singlePaths())) };
  for (const scheme of schemes) {
    for (const viewport of sizes) {
      const page = await browser.newPage({ viewport, colorScheme: scheme });
      const take = async (name: string, path: string): Promise<void> => {
        await page.goto(scene.url + path, { waitUntil: 'load' });
        if (name === 'queues') await page.getByText('Completed').first().waitFor();
        await page.evaluate('Promise.all([...document.images].map((image) => image.decode().catch(() => {})))');
        await page.screenshot({
          path: fileOf({ name, amount, width: viewport.width, scheme }),
        });
      };
      if (amount === 'few') await take('sign-in', '/sign-in');
      await page.context().addCookies(cookies);
      for (const [name, path] of Object.entries(paths)) await take(name, path);
      await page.close();
    }
  }
}

/** The pages of a single object: a study that did not arrive everywhere, its receipt, and a partial delivery. */
async function singlePaths(): Promise<Record<string, string>> {
  const { records } = scene.system;
  const [partial] = (await records.deliveries({ state: 'partial', target: 'workstation', limit: 1 })).records;
  if (!partial) throw new Error('nothing is partial');
  const study = `/studies/main/${partial.orthancStudyId}`;
  return { study, delivery: `/deliveries/${partial.deliveryId}`, receipt: `${study}/receipt` };
}

interface Picture {
  readonly name: string;
  readonly amount: Amount;
  readonly width: number;
  readonly scheme: (typeof schemes)[number];
}

function fileOf({ name, amount, width, scheme }: Picture): string {
  return join(folder, `${name}-${amount}-${width}-${scheme}.png`);
}

/** Light and dark side by side, a row for each amount of data. */
async function composeSheet(name: string): Promise<void> {
  const page = await browser.newPage();
  const rows = amounts.map((amount) =>
    schemes.flatMap((scheme) =>
      sizes.flatMap(({ width }) => {
        const file = fileOf({ name, amount, width, scheme });
        if (!existsSync(file)) return [];
        return `<img width="${Math.round(width * scale)}" src="data:image/png;base64,${readFileSync(file, 'base64')}">`;
      }),
    ),
  );
  const style =
    'body{margin:0;background:#888;width:max-content}div{display:flex;gap:6px;padding:3px;align-items:start}';
  await page.setContent(
    `<style>${style}</style>${rows.flatMap((row) => (row.length > 0 ? `<div>${row.join('')}</div>` : [])).join('')}`,
  );
  await page.locator('body').screenshot({ path: join(images, `${name}.jpg`), type: 'jpeg', quality: 55 });
  await page.close();
}

async function signIn(): Promise<Awaited<ReturnType<ReturnType<Page['context']>['cookies']>>> {
  const page = await browser.newPage();
  await page.goto(`${scene.url}/studies`);
  await page.getByLabel('Name').fill('ada');
  await page.getByLabel('Password').fill(people.ada);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/studies');
  const made = await page.context().cookies();
  await page.close();
  return made;
}

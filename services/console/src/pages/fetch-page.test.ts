import { launchBrowser, startHttpServer } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { startTestConsole } from '../testing/start-test-console.ts';

it('searches its target once, and not again when the page refreshes the list of fetches', async () => {
  await using pacs = await startHttpServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/dicom+json' }).end('[]');
  });
  const dicomweb = { type: 'dicomweb', url: pacs.url };
  await using test = await startTestConsole({ targets: { a: dicomweb, b: { type: 'dummy' } } });
  await using browser = await launchBrowser();
  const page = await browser.newPage();
  const streaming = page.waitForResponse((answer) => answer.url().endsWith('/api/events'));
  await page.goto(`${test.url}/fetch?target=a&accession=ACC-1`);
  expect(await page.locator('main').innerText()).toContain('a has no such study.');
  const asked = pacs.requests.length;
  expect(asked).toBeGreaterThan(0);
  await streaming;
  const refreshed = page.waitForResponse((answer) => new URL(answer.url()).pathname === '/fetch');
  await test.route();
  const again = await refreshed;
  expect(new URL(again.url()).search).toBe('');
  expect(await again.text()).toContain('id="list"');
  expect(pacs.requests.length).toBe(asked);
  expect(await page.locator('main').innerText()).toContain('a has no such study.');
});

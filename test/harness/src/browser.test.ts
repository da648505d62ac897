import { expect, test } from 'vitest';
import { launchBrowser } from './browser.ts';
import { startHttpServer } from './http-server.ts';

test('opens a page, runs its script and reads it', async () => {
  await using server = await startHttpServer((_, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end('<h1>before</h1><script>document.querySelector("h1").textContent = "after"</script>');
  });
  await using browser = await launchBrowser();
  const page = await browser.newPage();
  await page.goto(server.url);
  expect(await page.textContent('h1')).toBe('after');
});

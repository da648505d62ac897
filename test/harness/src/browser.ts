import type { Browser } from 'playwright-core';
import { unwatch, watch } from './watchdog.ts';

export type { Browser, BrowserContext, Locator, Page } from 'playwright-core';

let launched = 0;

/**
 * Headless Chromium (Debian's headless shell: half of the CPU time), with Playwright. It sends no requests to the internet by
 * itself. `close()` (or `await using`) ends it; it also ends with this process.
 */
export async function launchBrowser(): Promise<Browser & AsyncDisposable> {
  // Loaded only here: it is large, and most tests open no page.
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium-headless-shell',
    // The sandbox of Chromium requires a user other than root.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  launched += 1;
  const id = `chromium ${launched}`;
  watch('listener', id, 'chromium');
  browser.once('disconnected', () => unwatch('listener', id));
  // No limit except that of each test.
  const { newPage, newContext } = browser;
  browser.newPage = async (options) => {
    const page = await newPage.call(browser, options);
    page.setDefaultTimeout(0);
    return page;
  };
  browser.newContext = async (options) => {
    const context = await newContext.call(browser, options);
    context.setDefaultTimeout(0);
    return context;
  };
  return browser as Browser & AsyncDisposable;
}

import { launchBrowser, type Browser, type Page } from '@dicom-dispatch/harness';
import { expect } from 'vitest';

const name = 'otto';
const password = 'otto-operates-the-pacs';
const token = 'operators-token-0123456789abcdef';

/** The section `console` of a configuration in which the operator may sign in. */
export const operatorConsole = {
  users: { [name]: { password: '${OTTO}', role: 'operator' } },
  tokens: { program: { token: '${TOKEN}', role: 'administrator' } },
};
/** Environment of the services with {@link operatorConsole}. */
export const operatorEnv = { OTTO: password, TOKEN: token };

/** A task of an operator in a browser. */
export interface Task {
  readonly page: Page;
  /** Clicks, and counts the click. */
  click(what: ReturnType<Page['locator']>): Promise<void>;
  /** Opens the list of studies with one click, and searches. */
  search(text: string): Promise<void>;
}

const maxClicks = 4;

/** An operator who is signed in to a console, in a browser; and a program that uses its API. */
export class Operator implements AsyncDisposable {
  readonly name = name;
  readonly #url: string;
  readonly #browser: Browser & AsyncDisposable;
  #cookies: Parameters<ReturnType<Page['context']>['addCookies']>[0] = [];

  private constructor(url: string, browser: Browser & AsyncDisposable) {
    this.#url = url;
    this.#browser = browser;
  }

  static async signIn(url: string): Promise<Operator> {
    const operator = new Operator(url, await launchBrowser());
    const page = await operator.#browser.newPage();
    await page.goto(`${url}/sign-in`);
    await operator.enterPassword(page);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL(`${url}/`);
    operator.#cookies = await page.context().cookies();
    await page.close();
    return operator;
  }

  async enterPassword(page: Page): Promise<void> {
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Password').fill(password);
  }

  /** Performs a task from the front page, and fails if it takes more than four clicks. */
  async task(act: (task: Task) => Promise<void>): Promise<void> {
    const page = await this.#browser.newPage();
    let clicks = 0;
    const click: Task['click'] = async (what) => {
      clicks += 1;
      await what.click();
    };
    try {
      await page.context().addCookies(this.#cookies);
      await page.goto(this.#url);
      await act({
        page,
        click,
        async search(text) {
          await click(page.getByRole('link', { name: 'Studies', exact: true }).first());
          await page.getByRole('searchbox').fill(text);
          await page.keyboard.press('Enter');
          await page.waitForURL('**/studies?search=*');
        },
      });
      this.#cookies = await page.context().cookies();
    } finally {
      await page.close();
    }
    expect(clicks).toBeLessThanOrEqual(maxClicks);
  }

  get<T>(path: string): Promise<T> {
    return this.#ask<T>('GET', path);
  }

  /** @param path - below `/api` */
  post(path: string, body: object = {}): Promise<{ deliveries: { deliveryId: string }[] }> {
    return this.#ask('POST', `/api${path}`, JSON.stringify(body));
  }

  async #ask<T>(method: string, path: string, body?: string): Promise<T> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const answer = await fetch(this.#url + path, { method, headers, ...(body !== undefined && { body }) });
    return (await answer.json()) as T;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#browser[Symbol.asyncDispose]();
  }
}

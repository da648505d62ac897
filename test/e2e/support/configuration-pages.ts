import type { Locator, Page } from '@dicom-dispatch/harness';

/** The configuration pages of the console in a browser page whose user is signed in. */
export class ConfigurationPages {
  readonly page: Page;
  readonly #home: string;
  /** Whether the page with the draft is shown as it was loaded. */
  #isHome = false;
  /** Addresses of the lists that have been opened. */
  readonly #lists = new Map<string, string>();

  /** @param home - URL of the page Configuration */
  constructor(page: Page, home: string) {
    this.page = page;
    this.#home = home;
  }

  /** Opens the page with the draft. */
  async open(): Promise<void> {
    await this.page.goto(this.#home);
    this.#isHome = true;
  }

  /** Opens the list of a kind, e.g. `Groups`: the first time by its link, later by its address. */
  async openList(kind: string): Promise<void> {
    const address = this.#lists.get(kind);
    if (address !== undefined) {
      this.#isHome = false;
      await this.page.goto(address);
      return;
    }
    if (!this.#isHome) await this.open();
    const sections = this.page.getByRole('navigation', { name: 'Sections' });
    await this.follow(sections.getByRole('link', { name: kind, exact: true }));
    this.#lists.set(kind, this.page.url());
  }

  /** Opens a form by a link of the list: the name of an entry, `Add a …` or `Duplicate …`. */
  async openEntry(kind: string, link: string): Promise<void> {
    await this.openList(kind);
    await this.follow(this.page.locator('main').getByRole('link', { name: link, exact: true }));
    const collapsed = this.page.locator('form[data-entry-form] details');
    await collapsed.evaluateAll((all) => all.forEach((one) => one.setAttribute('open', '')));
  }

  /** Clicks a link, and waits until its page and the scripts of that page are loaded. */
  async follow(link: Locator): Promise<void> {
    const before = this.page.url();
    this.#isHome = false;
    await link.click();
    await this.page.waitForURL(({ href }) => href !== before);
  }

  field(name: string): Locator {
    return this.page.locator(`form[data-entry-form] [name="${name}"]`);
  }

  async name(value: string): Promise<void> {
    await this.page.locator('[data-name]').fill(value);
  }

  /** Fills a field of the form, and waits until its error is shown; without `error`, until it has none. */
  async fill(name: string, value: string, error?: string): Promise<void> {
    await this.field(name).fill(value);
    const place = `[data-error-of="${name}"]`;
    if (error === undefined) await this.page.locator(`${place}:empty`).waitFor({ state: 'attached' });
    else await this.page.locator(place, { hasText: error }).waitFor();
  }

  async save(): Promise<void> {
    await this.page.getByRole('button', { name: 'Save to draft' }).click();
    await this.page.waitForURL(this.#home);
    this.#isHome = true;
  }

  /** Removes an entry by its button in the list. */
  async remove(kind: string, name: string): Promise<void> {
    await this.openList(kind);
    const button = this.page.getByRole('button', { name: `Remove ${name}`, exact: true });
    await button.click();
    await this.page.getByRole('button', { name: 'Confirm' }).click();
    await button.waitFor({ state: 'detached' });
  }

  /** Disables an entry by its button in the list. */
  async disable(kind: string, name: string): Promise<void> {
    await this.openList(kind);
    await this.page.getByRole('button', { name: `Disable ${name}`, exact: true }).click();
    await this.page.getByRole('button', { name: `Enable ${name}`, exact: true }).waitFor();
  }

  /** Applies the draft; returns the shown result once it contains the expected text. */
  async apply(reason: string, expected: string): Promise<string> {
    if (!this.#isHome) await this.open();
    // The notice of an earlier change remains on the page.
    this.#isHome = false;
    await this.page.getByLabel('Reason, for the history').fill(reason);
    await this.page.getByRole('button', { name: 'Apply to all services' }).click();
    const shown = this.page.locator('#notices', { hasText: expected });
    await shown.waitFor();
    return shown.innerText();
  }
}

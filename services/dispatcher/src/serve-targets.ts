import { fingerprint, type Config } from '@dicom-dispatch/core';
import type { Mailbox, TargetService } from '@dicom-dispatch/target-kit';
import type { DispatcherContext } from './dispatcher-context.ts';

/** Services for targets while a dispatcher runs, independent of deliveries: ports on which they report. */
export class TargetServices {
  readonly #context: Pick<DispatcherContext, 'log' | 'resolve'>;
  readonly #mailbox: Mailbox;
  readonly #running = new Map<
    string,
    { readonly shape: string; readonly service: Promise<TargetService | undefined> }
  >();

  constructor(context: Pick<DispatcherContext, 'log' | 'resolve'>, mailbox: Mailbox) {
    this.#context = context;
    this.#mailbox = mailbox;
  }

  /** Starts the services of the configuration; resolves when those no longer configured have ended. */
  async go({ targets }: Config): Promise<void> {
    const ending = [...this.#running].filter(([name, { shape }]) => {
      const target = targets[name];
      return !target?.enabled || fingerprint(target) !== shape;
    });
    await Promise.all(ending.map(([name]) => this.#end(name)));
    for (const [name, target] of Object.entries(targets)) {
      if (!target.enabled || this.#running.has(name)) continue;
      this.#running.set(name, { shape: fingerprint(target), service: this.#begin(name) });
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((name) => this.#end(name)));
  }

  async #begin(name: string): Promise<TargetService | undefined> {
    const log = this.#context.log.child({ target: name });
    try {
      const { config, handler } = await this.#context.resolve(name);
      return handler.serve?.({
        config,
        targetName: name,
        mailbox: this.#mailbox,
        log: { info: (text, facts) => log.info(facts ?? {}, text), warn: (text, facts) => log.warn(facts ?? {}, text) },
      });
    } catch (error) {
      log.warn({ err: error }, 'the services of the target handler could not be started');
      return undefined;
    }
  }

  async #end(name: string): Promise<void> {
    const running = this.#running.get(name);
    this.#running.delete(name);
    await (await running?.service)?.stop();
  }
}

import { DispatchError, fingerprint, type Config } from '@dicom-dispatch/core';
import type { IntermediateCache } from '@dicom-dispatch/cache';
import type { Logger, Redis } from '@dicom-dispatch/runtime';
import { DigestBudget, openSource, StorageLane, type OrthancClient } from '@dicom-dispatch/sources';
import { DeliverySource, type RoutedStudy } from './delivery-source.ts';

/** The sources of one dispatcher: a client for each, opened on first use, and access to its storage folder. */
export class Sources {
  readonly #redis: Redis;
  readonly #log: Logger;
  readonly #clients = new Map<string, Promise<OrthancClient>>();
  readonly #lanes = new WeakMap<OrthancClient, StorageLane>();
  readonly #retired: Promise<OrthancClient>[] = [];
  readonly #digests = new DigestBudget();
  #config: Config;
  #cache: IntermediateCache;

  constructor(given: {
    readonly redis: Redis;
    readonly log: Logger;
    readonly config: Config;
    readonly cache: IntermediateCache;
  }) {
    this.#redis = given.redis;
    this.#log = given.log;
    this.#config = given.config;
    this.#cache = given.cache;
  }

  reload(config: Config, cache: IntermediateCache): void {
    for (const [name, opened] of this.#clients) {
      if (fingerprint(config.sources[name]) === fingerprint(this.#config.sources[name])) continue;
      // Running deliveries still read from it; it is closed with the dispatcher.
      this.#retired.push(opened);
      this.#clients.delete(name);
    }
    this.#config = config;
    this.#cache = cache;
  }

  /** @throws DispatchError when the source is not configured, or does not respond */
  async client(name: string): Promise<OrthancClient> {
    const known = this.#clients.get(name);
    if (known) return known;
    const source = this.#config.sources[name];
    if (!source) throw new DispatchError('source-unreachable', `the source ${name} is not in the configuration`);
    const opened = openSource(source);
    this.#clients.set(name, opened);
    opened.catch(() => this.#clients.delete(name));
    return opened;
  }

  /** A study as one delivery reads it; see `DeliverySource`. */
  async study(
    study: RoutedStudy,
    signal: AbortSignal,
    { provesGone = false }: { readonly provesGone?: boolean } = {},
  ): Promise<DeliverySource> {
    const orthanc = await this.client(study.source);
    const access = {
      orthanc,
      redis: this.#redis,
      digests: this.#digests,
      config: () => this.#config,
      cache: () => this.#cache,
      lane: () => this.#lane(study.source, orthanc),
    };
    return new DeliverySource(access, study, signal, provesGone);
  }

  /** Whether each enabled source responds now, for the readiness of the dispatcher. */
  states(): Promise<{ name: string; ok: boolean; detail: string }[]> {
    const enabled = Object.keys(this.#config.sources).filter((name) => this.#config.sources[name]?.enabled);
    return Promise.all(
      enabled.map(async (name) => {
        try {
          await (await this.client(name)).system({ timeoutMs: 2_000 });
          return { name: `source ${name}`, ok: true, detail: 'answers' };
        } catch (error) {
          return { name: `source ${name}`, ok: false, detail: (error as Error).message };
        }
      }),
    );
  }

  async close(): Promise<void> {
    const all = [...this.#clients.values(), ...this.#retired];
    await Promise.allSettled(all.map(async (opened) => (await opened).close()));
  }

  #lane(name: string, orthanc: OrthancClient): StorageLane | undefined {
    const source = this.#config.sources[name];
    const known = this.#lanes.get(orthanc);
    if (known || !source) return known;
    const log = this.#log;
    const opened = new StorageLane({
      config: source,
      orthanc,
      report(event) {
        const fields = { source: name, folder: event.folder };
        if (event.kind === 'on') log.info(fields, 'instances are read from the storage folder of the source');
        else log.warn({ ...fields, reason: event.reason }, 'the storage folder of the source cannot be used');
      },
    });
    this.#lanes.set(orthanc, opened);
    return opened;
  }
}

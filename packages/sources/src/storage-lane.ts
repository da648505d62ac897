import { createHash } from 'node:crypto';
import type { ManifestInstance, SourceConfig } from '@dicom-dispatch/core';
import { StorageArea, type FileStream, type OrthancClient } from '@dicom-dispatch/orthanc';

/** Where packages and images of Orthanc store their attachments. */
const usualFolders = ['/var/lib/orthanc/db-v6', '/var/lib/orthanc/db'];
/** A larger instance is not read by REST for the comparison: its file is compared with the MD5 in Orthanc's database. */
const maxReadBytes = 16 * 1024 * 1024;
/** Pause after a missing folder, or a missing file in it. */
const againMs = 60_000;

/** State of the folder; `reason` contains no path of an instance. */
export type StorageLaneEvent =
  | { readonly kind: 'on'; readonly folder: string }
  | { readonly kind: 'off'; readonly folder: string; readonly reason: string };

export interface StorageLaneOptions {
  readonly config: Pick<SourceConfig, 'url' | 'storageFolder'>;
  readonly orthanc: OrthancClient;
  readonly report: (event: StorageLaneEvent) => void;
}

/**
 * Reads stored instances from the storage folder of Orthanc. It is `unchecked` until one instance has been read in both ways
 * and was identical (of a large one, the file has the MD5 that Orthanc stored), then `on`; permanently `off` if the folder has
 * other content under the same name. Other instances are read by REST.
 */
export class StorageLane {
  readonly #options: StorageLaneOptions;
  readonly #folders: readonly string[];
  #area: StorageArea | undefined;
  #state: 'unchecked' | 'checking' | 'on' | 'off' = 'unchecked';
  #notBefore = 0;
  #reported: string | undefined;

  constructor(options: StorageLaneOptions) {
    this.#options = options;
    this.#folders = foldersOf(options.config);
    if (this.#folders.length === 0) this.#state = 'off';
  }

  /** Opens the file of an instance; undefined if it must be read by REST. */
  async open(instance: ManifestInstance, signal?: AbortSignal): Promise<FileStream | undefined> {
    const { fileUuid: uuid, sizeBytes } = instance;
    if (this.#state === 'off' || uuid === undefined) return undefined;
    if (this.#state === 'on') return this.#area?.open({ uuid, sizeBytes });
    if (this.#state === 'checking' || performance.now() < this.#notBefore) return undefined;
    this.#state = 'checking';
    try {
      return (await this.#check(instance, signal)) ? await this.#area?.open({ uuid, sizeBytes }) : undefined;
    } finally {
      if (this.#state === 'checking') {
        this.#state = 'unchecked';
        this.#notBefore = performance.now() + againMs;
      }
    }
  }

  /** Whether an instance is the same in one of the folders and in Orthanc. */
  async #check(instance: ManifestInstance, signal: AbortSignal | undefined): Promise<boolean> {
    const { fileUuid: uuid = '', sizeBytes, sourceId } = instance;
    const isLarge = sizeBytes > maxReadBytes;
    const { orthanc } = this.#options;
    const options = signal && { signal };
    const md5 = isLarge
      ? await orthanc.instances.attachmentMd5(sourceId, 'dicom', options).catch(() => undefined)
      : undefined;
    if (isLarge && md5 === undefined) {
      // Nothing is known about the folder: the next instance is compared at once.
      this.#state = 'unchecked';
      return false;
    }
    const isNamed = typeof this.#options.config.storageFolder === 'string';
    for (const folder of this.#folders) {
      let stored: string;
      let area: StorageArea;
      try {
        area = await StorageArea.at(folder);
        const file = await area.open({ uuid, sizeBytes });
        if (file === undefined) throw new Error('the file of an instance is not in it, or cannot be read');
        stored = await digestOf(file, isLarge ? 'md5' : 'sha256');
      } catch (error) {
        // Only reported if a folder is configured.
        if (isNamed) this.#reportOnce({ kind: 'off', folder, reason: String(error) });
        continue;
      }
      const byRest = async (): Promise<string> => digestOf(await orthanc.instanceFile(sourceId, options), 'sha256');
      const expected = md5?.toLowerCase() ?? (await byRest().catch(() => undefined));
      if (expected === undefined) return false;
      if (expected !== stored) {
        this.#state = 'off';
        const reason =
          'it has a different file under the name of an instance: check that it is the folder of this Orthanc';
        this.#reportOnce({ kind: 'off', folder, reason });
        return false;
      }
      this.#area = area;
      this.#state = 'on';
      this.#reportOnce({ kind: 'on', folder });
      return true;
    }
    return false;
  }

  #reportOnce(event: StorageLaneEvent): void {
    const text = JSON.stringify(event);
    if (text === this.#reported) return;
    this.#reported = text;
    this.#options.report(event);
  }
}

function foldersOf({ storageFolder, url }: StorageLaneOptions['config']): readonly string[] {
  if (storageFolder === false) return [];
  if (storageFolder !== undefined) return [storageFolder];
  const { hostname } = new URL(url);
  return ['127.0.0.1', 'localhost', '[::1]'].includes(hostname) ? usualFolders : [];
}

async function digestOf({ body, release }: FileStream, algorithm: 'md5' | 'sha256'): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of body) {
    hash.update(chunk);
    release(chunk);
  }
  return hash.digest('hex');
}

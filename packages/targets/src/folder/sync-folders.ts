import type { FileHandle } from 'node:fs/promises';
import { fsCode } from './errors.ts';
import type { Place } from './place.ts';
import { cannotSync } from './write-group.ts';

/**
 * Makes the names in folders durable. Lanes that request a sync of a folder while one is running share the next sync, because the
 * running one may have begun before their names existed.
 */
export class FolderSyncs {
  readonly #place: Place;
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<void>>();

  constructor(place: Place) {
    this.#place = place;
  }

  async sync(relative: string, handle: FileHandle): Promise<void> {
    if (!this.#place.config.fsync) return;
    let next = this.#next.get(relative);
    if (!next) {
      next = this.#syncAfter(relative, handle, this.#underWay.get(relative));
      this.#next.set(relative, next);
    }
    await next;
  }

  async #syncAfter(relative: string, handle: FileHandle, before: Promise<void> | undefined): Promise<void> {
    // The callers that waited for the previous sync get its error.
    await before?.catch(() => {});
    const syncing = this.#place.act('Syncing a folder', () => syncFolder(handle));
    this.#underWay.set(relative, syncing);
    this.#next.delete(relative);
    try {
      await syncing;
    } finally {
      if (this.#underWay.get(relative) === syncing) this.#underWay.delete(relative);
    }
  }
}

async function syncFolder(handle: FileHandle): Promise<void> {
  try {
    await handle.sync();
  } catch (error) {
    if (!cannotSync.has(fsCode(error) ?? '')) throw error;
  }
}

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Actor } from '@dicom-dispatch/pipeline';

const storage = new AsyncLocalStorage<Actor>();

/** Runs what follows in the name of somebody: Bull Board does not tell its adapters who asks. */
export function actingAs<T>(actor: Actor, act: () => T): T {
  return storage.run(actor, act);
}

export function currentActor(): Actor {
  return storage.getStore() ?? { name: 'unknown' };
}

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Actor } from '@dicom-dispatch/pipeline';

const storage = new AsyncLocalStorage<Actor>();

/** Runs a function on behalf of a user, since Bull Board does not pass the user to its adapters. */
export function actingAs<T>(actor: Actor, act: () => T): T {
  return storage.run(actor, act);
}

export function currentActor(): Actor {
  return storage.getStore() ?? { name: 'unknown' };
}

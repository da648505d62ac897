import type { DispatchError } from '@dicom-dispatch/core';
import { judgeFiles, type Claim } from './judge-files.ts';
import { filesThatAreThere, transferFiles, type Transfer } from './transfer.ts';
import type { WorkFolder } from './work-folder.ts';

export interface Sent {
  /** Paths that are complete on the server now, sent by us or because the same content existed. */
  readonly arrived: ReadonlySet<string>;
  /** Number of arrived files that have replaced other content. */
  readonly replaced: number;
  /** Paths with other content, and the reason why it is kept. */
  readonly conflicts: ReadonlyMap<string, DispatchError>;
  /** Why the others have not arrived. */
  readonly error: DispatchError | undefined;
}

const none: ReadonlyMap<string, DispatchError> = new Map();

/**
 * Sends files of a folder: first those whose paths are free; then the content of the other paths is compared, and replaced if its
 * claim or `onConflict: overwrite` allows it.
 */
export async function sendFiles(
  transfer: Transfer,
  work: WorkFolder,
  from: string,
  claims: ReadonlyMap<string, Claim>,
): Promise<Sent> {
  const first = await transferFiles(transfer, from, [...claims.keys()], 'new');
  if (first.error) return { ...first, replaced: 0, conflicts: none };
  const taken = [...claims.keys()].filter((path) => !first.arrived.has(path));
  if (taken.length === 0) return { ...first, replaced: 0, conflicts: none };
  const same = await filesThatAreThere(transfer, from, taken);
  const different = new Map([...claims].filter(([path]) => taken.includes(path) && !same.has(path)));
  const arrived = new Set([...first.arrived, ...same]);
  if (different.size === 0) return { arrived, replaced: 0, conflicts: none, error: undefined };
  const conflicts =
    transfer.config.onConflict === 'overwrite' ? none : await judgeFiles(transfer, work, from, different);
  const replaceable = [...different.keys()].filter((path) => !conflicts.has(path));
  if (replaceable.length === 0) return { arrived, replaced: 0, conflicts, error: undefined };
  const second = await transferFiles(transfer, from, replaceable);
  return {
    arrived: new Set([...arrived, ...second.arrived]),
    replaced: second.arrived.size,
    conflicts,
    error: second.error,
  };
}

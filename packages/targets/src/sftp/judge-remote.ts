import { isOlderVersion, readIdentity, type PlaceClaim } from '../conflict/index.ts';
import { compareStreams } from './compare-streams.ts';
import type { Found } from './found.ts';
import type { SftpSession } from './session.ts';
import { remoteChunks } from './remote-chunks.ts';

/** The claim of a file on its path. */
export interface Claim extends PlaceClaim {
  /** Whether a file with other content may be replaced; default: if it is an older version of the same instance. */
  mayReplace?(there: AsyncIterable<Uint8Array>): Promise<boolean>;
}

/**
 * Decides about existing content at the path of a file.
 *
 * @param found - the server's data about it
 * @param ours - opens the content of the file again with each call
 * @param oursBytes - size of our file, if known
 * @throws {DispatchError} `target-conflict` if it must not be replaced
 */
export async function judgeRemote(
  session: SftpSession,
  remote: string,
  found: Found | 'refused',
  claim: Claim,
  ours: () => AsyncIterable<Uint8Array>,
  oursBytes: number | undefined,
  signal: AbortSignal,
): Promise<'same' | 'replace'> {
  const size = found === 'refused' ? undefined : found.size;
  if (found !== 'refused' && found.kind !== 'file') throw claim.conflict(found.kind);
  if (size === 0) return 'replace';
  const theirs = (): AsyncGenerator<Buffer> => remoteChunks(session, remote, signal);
  const isLonger = size !== undefined && oursBytes !== undefined && size > oursBytes;
  const likeness = isLonger ? 'different' : await compareStreams(ours(), theirs());
  if (likeness === 'same') return 'same';
  if (likeness === 'cut' || session.config.onConflict === 'overwrite') return 'replace';
  if (claim.mayReplace) {
    if (await claim.mayReplace(theirs())) return 'replace';
    throw claim.conflict('file');
  }
  const there = await readIdentity(theirs());
  if (await isOlderVersion(claim, there, await readIdentity(ours()))) return 'replace';
  throw claim.conflict(there ? 'instance' : 'file');
}

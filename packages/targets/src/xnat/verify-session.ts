import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { compareCount, countSessions } from './count-instances.ts';
import { missingInSession, notBuilt } from './errors.ts';
import type { XnatPlace } from './import-instance.ts';
import type { XnatTarget } from './schema.ts';
import { buildSession, sessionStatus } from './prearchive-session.ts';
import { accepted, hasArchived } from './verify-archived.ts';
import type { XnatLogin } from './xnat-login.ts';

/** Data that must survive attempts and restarts until the session is archived. */
export interface Unfiled {
  /** Sessions in the prearchive, without `/data`; one, unless XNAT divides the study. */
  readonly paths: readonly string[];
  /** Series Instance UID to the number of its instances that an earlier delivery sent, and that are not in these sessions. */
  readonly before: Readonly<Record<string, number>>;
  /** Set before archiving: if the session is missing then, it has been archived, though the response was lost. */
  readonly filing?: boolean;
}
export const unfiledKey = 'xnat-unfiled';

export interface Sent extends Unfiled {
  /** The session contains the complete study: an earlier archived one may be replaced. */
  readonly whole: boolean;
  readonly quarantined: readonly ManifestInstance[];
}

/**
 * Compares the number of instances that XNAT lists with that of the sent ones. XNAT renames files and may change them by its
 * scripts, so they can only be counted: an incomplete series is sent again completely.
 *
 * @throws {DispatchError} `verify-missing`, after removing the confirmations of missing instances
 */
export async function verifySession(
  run: DeliveryRun<XnatTarget>,
  login: XnatLogin,
  place: XnatPlace,
  sent: Sent,
): Promise<void> {
  for (const path of sent.paths) {
    if (await buildSession(login, path, run.signal)) continue;
    // If an earlier attempt has requested archiving, the session may be archived by now.
    const status = sent.filing ? undefined : await sessionStatus(login, path, run.signal);
    if (status !== undefined) throw notBuilt(status);
  }
  const count = await countSessions(login, sent.paths, run.signal);
  const there = accepted(run, sent.quarantined);
  // The attempt that archived the session has verified it.
  if (count.isGone && sent.filing && (await hasArchived(login, place, there, run.signal, count))) return;
  const { missing, short } = compareCount(there, count, sent.before);
  if (missing === 0) return;
  for (const instance of short) await run.revoke(instance);
  // All of an incomplete series is sent again, also instances that an earlier delivery sent.
  const again = new Set(short.map(({ seriesInstanceUid }) => seriesInstanceUid));
  const before = Object.fromEntries(Object.entries(sent.before).filter(([uid]) => !again.has(uid)));
  await run.state.set(unfiledKey, { paths: sent.paths, before } satisfies Unfiled);
  throw missingInSession(missing);
}

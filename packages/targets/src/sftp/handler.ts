import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { placesOf, targetConflict, type Places } from '../conflict/index.ts';
import {
  contractVersion,
  type DeliveryRun,
  type ManifestInstance,
  type TargetHandler,
} from '@dicom-dispatch/target-kit';
import { borrowed, inLanes, metered, throwIfCancelled } from '@dicom-dispatch/target-kit/flow';
import { studyMarker } from '../marker/index.ts';
import { sftpAbout } from './about.ts';
import { hasStatus } from './errors.ts';
import { openSftpInventory } from './inventory.ts';
import { judgeRemote, type Claim } from './judge-remote.ts';
import { lookAtFolder, lookForSpace } from './look-at-server.ts';
import { checkRemoteFolder } from './mark.ts';
import { lookIntoFolder, RemoteFolders } from './remote-folders.ts';
import { sftpTarget, type SftpTarget } from './schema.ts';
import { SftpSession } from './session.ts';
import { testSftp } from './test-connection.ts';
import { writeRemote } from './write-remote.ts';

export const sftpHandler: TargetHandler<SftpTarget> = {
  contractVersion,
  type: 'sftp',
  about: sftpAbout,
  schema: sftpTarget,
  deliver,
  testConnection: testSftp,
  inventory: openSftpInventory,
};

type Run = DeliveryRun<SftpTarget>;

/** Writes each pending instance as a separate file over one connection. Each is verified and renamed before it is reported. */
async function deliver(run: Run): Promise<void> {
  const { config, signal } = run;
  throwIfCancelled(signal);
  run.stage('connect');
  const session = await SftpSession.open(config, signal);
  try {
    if (session.oldAlgorithms.length > 0) {
      run.log.warn('the connection uses insecure algorithms', { algorithms: session.oldAlgorithms });
    }
    await lookAtFolder(session, signal);
    if (config.rememberPlace) await checkRemoteFolder(session, run.memory, 'set up', signal);
    const neededBytes = run.pending.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
    await lookForSpace(session, neededBytes, signal);
    run.stage('transfer');
    const places = placesOf(run, config.host, config.layout);
    const folders = new RemoteFolders(session, signal);
    const taken = await lookAround(run, session, places);
    const quarantined = await send(run, session, folders, places, taken);
    // Each file was verified before its rename: afterwards a consumer of the folder may already have taken it.
    run.stage('verify');
    run.stage('finalize');
    await writeMarker(run, session, folders, places, quarantined);
  } finally {
    session.end();
  }
}

/** Removes temporary files of earlier attempts. @returns existing paths: only these are checked before the transfer */
async function lookAround(run: Run, session: SftpSession, places: Places): Promise<ReadonlySet<string>> {
  const folders = Map.groupBy(run.pending.map(places.pathOf), (path) => posix.dirname(path));
  const taken = new Set<string>();
  let count = 0;
  for (const [folder, paths] of folders) {
    const names = new Set(paths.map((path) => posix.basename(path)));
    try {
      const { there, removed } = await lookIntoFolder(session, folder, names, run.deliveryId, run.signal);
      for (const name of there) taken.add(posix.join(folder, name));
      count += removed;
    } catch (thrown) {
      // If listing is not allowed, existing files are detected when a file is renamed.
      if (!(thrown instanceof DispatchError) || !hasStatus(thrown.cause)) throw thrown;
      if (run.config.temporaryName === 'none') for (const path of paths) taken.add(path);
    }
  }
  if (count > 0) run.log.info('leftover temporary files removed', { count });
  return taken;
}

async function send(
  run: Run,
  session: SftpSession,
  folders: RemoteFolders,
  places: Places,
  taken: ReadonlySet<string>,
): Promise<readonly ManifestInstance[]> {
  const { instances, quarantined: shared } = await places.divide();
  let replaced = 0;
  const lanes = { lanes: run.config.maxParallel, instances };
  const { quarantined } = await inLanes(run, lanes, async ({ instance, bytes }, { signal }) => {
    const path = places.pathOf(instance);
    const claim = places.claim(instance);
    const before = taken.has(path) ? await whatIsThere(run, session, path, instance, claim, signal) : 'nothing';
    if (before === 'same') return { kind: 'delivered', answer: 'there with the same content' };
    const file = { ...claim, path, body: borrowed(bytes), sizeBytes: bytes.sizeBytes, isJudged: before === 'replace' };
    const settled = await writeRemote(session, folders, run.deliveryId, file, { signal, finishing: run.signal });
    if (settled === 'replaced') replaced += 1;
    return { kind: 'delivered', answer: 'stored under its name' };
  });
  if (replaced > 0) run.log.info('earlier versions of instances replaced', { count: replaced });
  return [...shared, ...quarantined];
}

/** Checks a taken path before an instance is sent there: identical content is not sent. */
async function whatIsThere(
  run: Run,
  session: SftpSession,
  path: string,
  instance: ManifestInstance,
  claim: Claim,
  signal: AbortSignal,
): Promise<'nothing' | 'same' | 'replace'> {
  const { existing, path: folder } = run.config;
  if (existing === 'overwrite') return 'replace';
  const remote = posix.join(folder, path);
  const found = await session.lookAt(remote, signal);
  if (found === undefined) return 'nothing';
  async function* ours(): AsyncGenerator<Uint8Array> {
    const bytes = metered(await run.open(instance, { signal }), { sent: () => {}, signal });
    try {
      yield* borrowed(bytes);
    } catch (thrown) {
      throw bytes.readError ?? thrown;
    } finally {
      await bytes.release();
    }
  }
  return judgeRemote(session, remote, found, claim, ours, instance.sizeBytes, signal);
}

async function writeMarker(
  run: Run,
  session: SftpSession,
  folders: RemoteFolders,
  places: Places,
  quarantined: readonly ManifestInstance[],
): Promise<void> {
  const { signal } = run;
  const marker = studyMarker(run, run.config.marker, quarantined, places.pathOf);
  if (!marker) return;
  const { path, content, mayReplace, shownPath } = marker;
  const claim: Claim = {
    mayReplace,
    conflict: (occupant) => targetConflict(run.config.host, shownPath, occupant),
  };
  const remote = posix.join(run.config.path, path);
  const found = await session.lookAt(remote, signal);
  const before =
    found && (await judgeRemote(session, remote, found, claim, () => once(content), content.length, signal));
  if (before === 'same') return;
  const file = { ...claim, path, body: [content], sizeBytes: content.length, isJudged: before === 'replace' };
  await writeRemote(session, folders, run.deliveryId, file, { signal });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

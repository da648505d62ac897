import { posix } from 'node:path';
import { contractVersion, type DeliveryRun, type ManifestInstance, type TargetHandler } from '../contract/index.ts';
import { borrowed, inLanes, throwIfCancelled, type LaneResult } from '../flow/index.ts';
import { studyMarker } from '../marker/index.ts';
import { parseTemplate, renderTemplate } from '../template/index.ts';
import { isThere, sameBytes } from './is-there.ts';
import { lookAtFolder, lookForSpace } from './look-at-server.ts';
import { lookIntoFolder, RemoteFolders } from './remote-folders.ts';
import { sftpTarget, type SftpTarget } from './schema.ts';
import { SftpSession } from './session.ts';
import { testSftp } from './test-connection.ts';
import { remoteChunks, writeRemote } from './write-remote.ts';

export const sftpHandler: TargetHandler<SftpTarget> = {
  contractVersion,
  type: 'sftp',
  schema: sftpTarget,
  deliver,
  testConnection: testSftp,
};

type PathOf = (instance: ManifestInstance) => string;

/** Writes each pending instance as a file of its own over one connection; it is verified and has its name when reported. */
async function deliver(run: DeliveryRun<SftpTarget>): Promise<void> {
  const { config, signal } = run;
  throwIfCancelled(signal);
  const layout = parseTemplate(config.layout === 'flat' ? '{SOPInstanceUID}.dcm' : config.layout);
  const pathOf: PathOf = (instance) => renderTemplate(layout, run.study, instance);

  run.stage('connect');
  const session = await SftpSession.open(config, signal);
  try {
    await lookAtFolder(session, signal);
    await lookForSpace(
      session,
      run.pending.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
      signal,
    );
    run.stage('transfer');
    const there = await lookAround(run, session, pathOf);
    const { quarantined } = await send(run, session, pathOf, there);
    // Each file was verified before it got its name: afterwards whoever waits for files may already have taken it.
    run.stage('verify');
    run.stage('finalize');
    await writeMarker(run, session, quarantined, pathOf);
  } finally {
    session.end();
  }
}

/** Removes what earlier attempts have left. @returns paths that are taken: only these are looked at one by one */
async function lookAround(
  run: DeliveryRun<SftpTarget>,
  session: SftpSession,
  pathOf: PathOf,
): Promise<ReadonlySet<string>> {
  const folders = Map.groupBy(run.pending.map(pathOf), (path) => posix.dirname(path));
  const taken = new Set<string>();
  let count = 0;
  for (const [folder, paths] of folders) {
    const names = new Set(paths.map((path) => posix.basename(path)));
    const { there, removed } = await lookIntoFolder(session, folder, names, run.deliveryId, run.signal);
    for (const name of there) taken.add(posix.join(folder, name));
    count += removed;
  }
  if (count > 0) run.log.info('left-over temporary files removed', { count });
  return taken;
}

function send(
  run: DeliveryRun<SftpTarget>,
  session: SftpSession,
  pathOf: PathOf,
  there: ReadonlySet<string>,
): Promise<LaneResult> {
  const folders = new RemoteFolders(session, run.signal);
  return inLanes(run, { lanes: run.config.parallel }, async ({ instance, bytes }, { signal }) => {
    const path = pathOf(instance);
    if (!there.has(path) || !(await isThere(run, session, path, instance, signal))) {
      const file = { path, body: borrowed(bytes), sizeBytes: bytes.sizeBytes };
      await writeRemote(session, folders, run.deliveryId, file, { signal, finishing: run.signal });
    }
    return { kind: 'delivered', answer: 'stored under its name' };
  });
}

async function writeMarker(
  run: DeliveryRun<SftpTarget>,
  session: SftpSession,
  quarantined: readonly ManifestInstance[],
  pathOf: PathOf,
): Promise<void> {
  const { config, signal } = run;
  const marker = studyMarker(run, config.marker, quarantined, pathOf);
  if (!marker) return;
  const { path, content } = marker;
  const remote = posix.join(config.path, path);
  const found = await session.statIfThere(remote, signal);
  if (found?.size === content.length && (await sameBytes(once(content), remoteChunks(session, remote, signal)))) return;
  const folders = new RemoteFolders(session, signal);
  await writeRemote(session, folders, run.deliveryId, { path, body: [content], sizeBytes: content.length }, { signal });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

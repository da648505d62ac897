import { posix } from 'node:path';
import { contractVersion, type DeliveryRun, type ManifestInstance, type TargetHandler } from '../contract/index.ts';
import { inLanes, throwIfCancelled, type LaneResult } from '../flow/index.ts';
import { studyMarker } from '../marker/index.ts';
import { parseTemplate, renderTemplate } from '../template/index.ts';
import { isThere, sameBytes } from './is-there.ts';
import { lookAtFolder, lookForSpace } from './look-at-server.ts';
import { RemoteFolders, removeLeftOvers } from './remote-folders.ts';
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
    await clean(run, session, pathOf);
    const { quarantined } = await send(run, session, pathOf);
    // Each file was verified before it got its name: afterwards whoever waits for files may already have taken it.
    run.stage('verify');
    run.stage('finalize');
    await writeMarker(run, session, quarantined, pathOf);
  } finally {
    session.end();
  }
}

async function clean(run: DeliveryRun<SftpTarget>, session: SftpSession, pathOf: PathOf): Promise<void> {
  let removed = 0;
  for (const folder of new Set(run.pending.map((instance) => posix.dirname(pathOf(instance))))) {
    removed += await removeLeftOvers(session, folder, run.deliveryId, run.signal);
  }
  if (removed > 0) run.log.info('left-over temporary files removed', { count: removed });
}

function send(run: DeliveryRun<SftpTarget>, session: SftpSession, pathOf: PathOf): Promise<LaneResult> {
  const folders = new RemoteFolders(session, run.signal);
  return inLanes(run, { lanes: run.config.parallel }, async ({ instance, bytes }, { signal }) => {
    const path = pathOf(instance);
    if (!(await isThere(run, session, path, instance, signal))) {
      const file = { path, body: bytes.body, sizeBytes: bytes.sizeBytes };
      await writeRemote(session, folders, run.deliveryId, file, signal);
    }
    return { kind: 'delivered' };
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
  await writeRemote(session, folders, run.deliveryId, { path, body: [content], sizeBytes: content.length }, signal);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

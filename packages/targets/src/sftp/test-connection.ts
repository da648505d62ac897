import { posix } from 'node:path';
import { DispatchError, formatBytes } from '@dicom-dispatch/core';
import { networkSteps, runChecks, type CheckStep } from '@dicom-dispatch/target-kit/checks';
import type { Check, CheckContext, TargetMemory } from '@dicom-dispatch/target-kit';
import { describePlace } from '../place-mark/index.ts';
import { temporaryName } from '../template/index.ts';
import { connectSftp, type Connection } from './connect.ts';
import { lookAtFolder, lookForSpace } from './look-at-server.ts';
import { hasStatus, isRefused } from './errors.ts';
import { checkRemoteFolder } from './mark.ts';
import { RemoteFolders } from './remote-folders.ts';
import type { SftpTarget } from './schema.ts';
import { SftpSession } from './session.ts';
import { takeFree } from './settle-remote.ts';
import { noFolders, whyNotCreated } from './why-not-created.ts';
import { sizeByPath } from './write-remote.ts';

/** Results of checks that later checks use. */
interface Progress {
  connection?: Connection;
  readonly reached: { hostKey: boolean; login: boolean };
  /** Why connecting failed, after the host key was accepted. */
  refused?: unknown;
  session?: SftpSession;
}

export async function* testSftp({ config, signal, memory }: CheckContext<SftpTarget>): AsyncGenerator<Check> {
  const progress: Progress = { reached: { hostKey: false, login: false } };
  try {
    yield* runChecks(stepsOf(config, progress, memory), signal);
  } finally {
    progress.connection?.end();
  }
}

function stepsOf(config: SftpTarget, progress: Progress, memory: TargetMemory | undefined): CheckStep[] {
  // The probes have the form of the temporary names of deliveries.
  const form = config.temporaryName === 'none' ? 'dispatch-{id}.part' : config.temporaryName;
  const probe = posix.join(config.path, temporaryName('probe', form));
  const renamed = posix.join(config.path, temporaryName('probe', form));
  const session = (): SftpSession => {
    if (progress.session) return progress.session;
    throw new DispatchError('internal', 'a check of the folder runs before that of the session');
  };
  return [
    ...networkSteps({ host: config.host, port: config.port, timeoutMs: config.connectTimeout }),
    {
      name: 'host-key',
      async run(signal) {
        try {
          progress.connection = await connectSftp(config, signal, progress.reached);
        } catch (thrown) {
          if (!progress.reached.hostKey) throw thrown;
          progress.refused = thrown;
        }
        return config.hostKey === 'insecure-any'
          ? 'NOT verified (insecure-any)'
          : 'the host key matches the pinned key';
      },
    },
    {
      name: 'login',
      async run() {
        if (!progress.reached.login) throw progress.refused;
        const old = progress.connection?.oldAlgorithms ?? [];
        const warning = old.length > 0 ? `; with insecure algorithms: ${old.join(', ')}` : '';
        return `${config.username} is logged in${warning}`;
      },
    },
    {
      name: 'sftp',
      async run() {
        if (!progress.connection) throw progress.refused;
        progress.session = new SftpSession(config, progress.connection, 'connect');
        return 'the server offers SFTP';
      },
    },
    {
      name: 'folder',
      async run(signal) {
        await lookAtFolder(session(), signal);
        return `${config.path} is a folder`;
      },
    },
    ...(config.rememberPlace ? [placeStep(session, memory)] : []),
    {
      name: 'write',
      async run(signal) {
        await writeProbe(session(), probe, signal);
        if (!config.layout.includes('/')) return 'a probe was written';
        const kept = await makeProbeFolder(session(), probe, signal);
        return `a probe was written and a folder created${kept ? `; ${kept}` : ''}`;
      },
    },
    {
      name: 'rename',
      async run(signal) {
        if (config.temporaryName === 'none') {
          return `files are written under their final names; ${await removeProbe(session(), probe, signal)}`;
        }
        try {
          const found = await takeFree(session(), probe, renamed, signal);
          if (found !== 'taken')
            throw new DispatchError('target-error', `${config.host} already has a file with the name of the probe`);
        } catch (thrown) {
          throw await afterRemoving(session(), [probe, renamed], thrown, signal);
        }
        return `the probe was renamed; ${await removeProbe(session(), renamed, signal)}`;
      },
    },
    {
      name: 'space',
      async run(signal) {
        const free = await lookForSpace(session(), 0, signal);
        return free === undefined
          ? { skip: 'the server does not report its free space' }
          : `${formatBytes(free)} are free`;
      },
    },
  ];
}

function placeStep(session: () => SftpSession, memory: TargetMemory | undefined): CheckStep {
  return {
    name: 'place',
    async run(signal) {
      const found = await checkRemoteFolder(session(), memory, 'look', signal);
      return describePlace(found, memory !== undefined);
    },
  };
}

/** The result is not an error if removing is forbidden: deliveries of new files do not need this permission. */
async function removeProbe(session: SftpSession, probe: string, signal: AbortSignal): Promise<string> {
  try {
    await session.remove(probe, signal);
    return 'it was removed';
  } catch (thrown) {
    if (!(thrown instanceof DispatchError) || !isRefused(thrown.cause)) throw thrown;
    return notRemoved([probe]);
  }
}

function notRemoved(probes: readonly string[]): string {
  const names = probes.map((probe) => posix.basename(probe)).join(' and ');
  return `the server does not allow removing it: remove ${names} manually`;
}

/** Removes probes after an error. @returns the error, with the probes that the server keeps */
async function afterRemoving(
  session: SftpSession,
  probes: readonly string[],
  thrown: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  const kept: string[] = [];
  for (const probe of probes) {
    try {
      await session.remove(probe, signal);
    } catch (refused) {
      if (!(refused instanceof DispatchError) || !isRefused(refused.cause)) continue;
      const found = await session.lookAt(probe, signal).catch(() => {});
      if (found !== undefined) kept.push(probe);
    }
  }
  if (kept.length === 0 || !(thrown instanceof DispatchError)) return thrown;
  const remedy = `${thrown.remedy} A probe is left: ${notRemoved(kept)}.`;
  return new DispatchError(thrown.code, thrown.message, { ...thrown, remedy, cause: thrown.cause });
}

async function readBack(session: SftpSession, path: string, length: number, signal: AbortSignal): Promise<void> {
  const handle = await session.openFile(path, 'r', signal);
  try {
    await session.read(handle, Buffer.alloc(length), 0, signal);
  } finally {
    await session.closeFile(handle, signal);
  }
}

/**
 * Creates and removes a folder, like those of the layout.
 *
 * @returns a note for the user if the server does not remove the folder, which deliveries do not need
 * @throws DispatchError after the probes were removed
 */
async function makeProbeFolder(session: SftpSession, probe: string, signal: AbortSignal): Promise<string | undefined> {
  const { config } = session;
  const folder = `${probe}-folder`;
  try {
    await session.makeFolder(folder, config.directoryMode, signal).catch((thrown: unknown) => {
      const isForbidden = thrown instanceof DispatchError && isRefused(thrown.cause);
      throw isForbidden ? noFolders(config.host, thrown) : thrown;
    });
    if (config.directoryMode !== undefined) await session.setMode(folder, config.directoryMode, signal);
  } catch (thrown) {
    await session.removeFolder(folder, signal).catch(() => {});
    throw await afterRemoving(session, [probe], thrown, signal);
  }
  try {
    await session.removeFolder(folder, signal);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof DispatchError) || !hasStatus(thrown.cause)) throw thrown;
    return notRemoved([folder]);
  }
}

/** Writes a probe like an instance: creates it, writes it, syncs it, and verifies it as configured. */
async function writeProbe(session: SftpSession, probe: string, signal: AbortSignal): Promise<void> {
  const { config } = session;
  const content = Buffer.from('dicom-dispatch probe\n');
  let handle: Buffer;
  try {
    handle = await session.openFile(probe, 'wx', signal);
  } catch (thrown) {
    const claim = { conflict: () => new DispatchError('target-misconfigured', `${config.host}: permission denied`) };
    throw await whyNotCreated(session, new RemoteFolders(session, signal), '.', claim, thrown, signal);
  }
  try {
    await session.write(handle, content, 0, signal);
    if (config.fsync) await session.sync(handle, signal);
    if (config.mode !== undefined) await session.setMode(probe, config.mode, signal);
    if (config.verify === 'content') await readBack(session, probe, content.length, signal);
    if (config.verify === 'size' && (await session.sizeOf(handle, signal)) === undefined) {
      await sizeByPath(session, probe, signal);
    }
  } catch (thrown) {
    throw await afterRemoving(session, [probe], thrown, signal);
  } finally {
    await session.closeFile(handle, signal);
  }
}

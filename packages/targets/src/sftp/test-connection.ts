import { posix } from 'node:path';
import { DispatchError, formatBytes } from '@dicom-dispatch/core';
import { networkSteps, runChecks, type CheckStep } from '../checks/index.ts';
import type { Check, CheckContext } from '../contract/index.ts';
import { temporaryName } from '../template/index.ts';
import { connectSftp, type Connection } from './connect.ts';
import { lookAtFolder, lookForSpace } from './look-at-server.ts';
import type { SftpTarget } from './schema.ts';
import { SftpSession } from './session.ts';

/** What one check leaves for the next. */
interface Progress {
  connection?: Connection;
  readonly reached: { hostKey: boolean; login: boolean };
  /** Why connecting failed, after the host key was accepted. */
  refused?: unknown;
  session?: SftpSession;
}

export async function* testSftp({ config, signal }: CheckContext<SftpTarget>): AsyncGenerator<Check> {
  const progress: Progress = { reached: { hostKey: false, login: false } };
  try {
    yield* runChecks(stepsOf(config, progress), signal);
  } finally {
    progress.connection?.end();
  }
}

function stepsOf(config: SftpTarget, progress: Progress): CheckStep[] {
  const probe = posix.join(config.path, temporaryName('probe'));
  const renamed = posix.join(config.path, temporaryName('probe'));
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
        return config.hostKey === 'insecure-any' ? 'NOT verified (insecure-any)' : 'the host key is the pinned one';
      },
    },
    {
      name: 'login',
      async run() {
        if (!progress.reached.login) throw progress.refused;
        return `${config.username} is logged in`;
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
    {
      name: 'write',
      async run(signal) {
        const handle = await session().openFile(probe, 'wx', signal);
        try {
          await session().write(handle, Buffer.from('dicom-dispatch probe\n'), 0, signal);
          if (config.fsync) await session().sync(handle, signal);
        } catch (thrown) {
          await session()
            .remove(probe, signal)
            .catch(() => {});
          throw thrown;
        } finally {
          await session().closeFile(handle, signal);
        }
        return 'a probe was written';
      },
    },
    {
      name: 'rename',
      async run(signal) {
        try {
          await session().rename(probe, renamed, signal);
          await session().remove(renamed, signal);
        } catch (thrown) {
          await Promise.allSettled([session().remove(probe, signal), session().remove(renamed, signal)]);
          throw thrown;
        }
        return 'the probe was renamed and removed';
      },
    },
    {
      name: 'space',
      async run(signal) {
        const free = await lookForSpace(session(), 0, signal);
        return free === undefined
          ? { skip: 'the server does not tell its free space' }
          : `${formatBytes(free)} are free`;
      },
    },
  ];
}

import { randomBytes } from 'node:crypto';
import { statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DispatchError, formatBytes } from '@dicom-dispatch/core';
import { networkSteps, probeRemains, runChecks, type CheckStep } from '@dicom-dispatch/target-kit/checks';
import type { Check, CheckContext, TargetMemory } from '@dicom-dispatch/target-kit';
import { describePlace } from '../place-mark/index.ts';
import { programMissing } from './errors.ts';
import { routeTo } from './route.ts';
import { runProgram } from './run-program.ts';
import type { RsyncTarget } from './schema.ts';
import { lookAtFolder } from './look-at-folder.ts';
import { checkRemoteFolder } from './mark.ts';
import { removeFile, transferFiles, type Transfer } from './transfer.ts';
import { makeWorkFolder, type WorkFolder } from './work-folder.ts';

/** Results of checks that later checks use. */
interface Progress {
  work?: WorkFolder;
  transfer?: Transfer;
  /** Why the folder could not be checked, if a later check reports this. */
  failure?: DispatchError;
  written: boolean;
}

export async function* testRsync({ config, signal, memory }: CheckContext<RsyncTarget>): AsyncGenerator<Check> {
  const progress: Progress = { written: false };
  try {
    yield* runChecks(stepsOf(config, progress, memory), signal);
  } finally {
    await progress.work?.remove();
  }
}

function stepsOf(config: RsyncTarget, progress: Progress, memory: TargetMemory | undefined): CheckStep[] {
  const { via } = config;
  const probe = `dicom-dispatch-probe-${randomBytes(6).toString('hex')}`;
  const steps: CheckStep[] = [
    { name: 'program', run: (signal) => findPrograms(config, signal) },
    {
      name: 'spool',
      async run() {
        progress.work = await makeWorkFolder(config);
        return haveSpoolSpace(config, progress.work);
      },
    },
    ...networkSteps({ host: config.host, port: via.port, timeoutMs: config.connectTimeout }),
  ];
  if (via.type === 'ssh') {
    steps.push({
      name: 'host-key',
      async run(signal) {
        await enter(config, progress, signal);
        if (progress.failure?.code === 'target-host-key') throw progress.failure;
        return via.hostKey === 'insecure-any' ? 'NOT verified (insecure-any)' : 'the host key matches the pinned key';
      },
    });
  }
  steps.push(
    {
      name: 'login',
      async run(signal) {
        if (!progress.transfer) await enter(config, progress, signal);
        const { failure } = progress;
        if (failure && (failure.code !== 'target-misconfigured' || failure.message.includes('no rsync'))) throw failure;
        return via.username === undefined ? 'the daemon accepts the connection' : `${via.username} is logged in`;
      },
    },
    {
      name: 'folder',
      async run() {
        if (progress.failure) throw progress.failure;
        return 'the folder exists';
      },
    },
    ...(config.rememberPlace
      ? [
          {
            name: 'place',
            async run(signal: AbortSignal) {
              const { work, transfer } = entered(progress, signal);
              return describePlace(await checkRemoteFolder(transfer, work, memory, 'look'), memory !== undefined);
            },
          },
        ]
      : []),
    {
      name: 'write',
      async run(signal) {
        const { work, transfer } = entered(progress, signal);
        await writeFile(join(work.path, 'spool', probe), 'dicom-dispatch probe\n');
        const { error } = await transferFiles(transfer, join(work.path, 'spool'), [probe]);
        if (error) throw error;
        progress.written = true;
        return 'a probe was written';
      },
    },
    {
      name: 'remove',
      async run(signal) {
        const { work, transfer } = entered(progress, signal);
        try {
          await removeFile(transfer, work.path, probe);
        } catch (thrown) {
          return probeRemains(thrown, probe);
        }
        return 'the probe was removed';
      },
    },
  );
  return steps;
}

async function findPrograms({ via }: RsyncTarget, signal: AbortSignal): Promise<string> {
  const { status, output } = await runProgram('rsync', ['--version'], { signal });
  const version = /version v?(\d+)\.(\d+)[.\d]*/.exec(output);
  if (status !== 0 || !version) throw programMissing('rsync', undefined);
  const [, major, minor] = version.map(Number);
  if ((major ?? 0) < 3 || (major === 3 && (minor ?? 0) < 1)) {
    throw new DispatchError('target-misconfigured', `rsync on this host is ${version[0]}`, {
      remedy: 'Install rsync 3.1 or newer.',
    });
  }
  if (via.type === 'ssh') await runProgram('ssh', ['-V'], { signal });
  return `rsync ${version[0]}`;
}

async function haveSpoolSpace(config: RsyncTarget, work: WorkFolder): Promise<string> {
  const { bavail, bsize } = await statfs(work.path);
  const free = bavail * bsize;
  if (free >= config.batchBytes * 2) return `${formatBytes(free)} are free for the spool`;
  throw new DispatchError(
    'local-resources',
    `${formatBytes(free)} are free for the spool, and it needs space for two batches of ${formatBytes(config.batchBytes)}`,
    {
      remedy: 'Free space in the spool folder on this host, set spool to another folder, or lower batchBytes.',
    },
  );
}

/** Connects and checks the folder: one run of rsync tests host key, login and folder, and each check reports its part. */
async function enter(config: RsyncTarget, progress: Progress, signal: AbortSignal): Promise<void> {
  if (!progress.work) throw new DispatchError('internal', 'a check of the server runs before that of the spool');
  try {
    progress.transfer = { config, signal, route: await routeTo(config, progress.work, signal) };
    await lookAtFolder(progress.transfer, progress.work, []);
  } catch (thrown) {
    if (!(thrown instanceof DispatchError)) throw thrown;
    progress.failure = thrown;
  }
}

function entered({ work, transfer }: Progress, signal: AbortSignal): { work: WorkFolder; transfer: Transfer } {
  if (work && transfer) return { work, transfer: { ...transfer, signal } };
  throw new DispatchError('internal', 'a check of the folder runs before that of the login');
}

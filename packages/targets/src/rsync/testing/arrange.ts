import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder, waitFor, type FaultProxy, type TempFolder } from '@dicom-dispatch/harness';
import {
  filesUnder,
  receivedFiles,
  type ArrangedFault,
  type NotApplicable,
  type StartedTarget,
} from '../../contract-suite/index.ts';

export const isRoot = process.getuid?.() === 0;
export const onlyRoot: NotApplicable = { notApplicable: 'it needs root to mount or to make a user' };

/** The study is sent at 60 KiB/s, so that a test can act during the transfer. */
export function inTheMiddle(proxy: () => FaultProxy, act: () => void | Promise<void>): ArrangedFault {
  let over = false;
  const acted = Promise.withResolvers<void>();
  return {
    config: { bandwidth: '60KiB' },
    patientConfig: { bandwidth: '60KiB' },
    strike() {
      const before = proxy().counters().bytesUp;
      void waitFor(() => over || proxy().counters().bytesUp > before + 40_000)
        .then(() => (over ? undefined : act()))
        .then(acted.resolve);
    },
    inForce: () => acted.promise,
    undo: async () => {
      over = true;
      await proxy().heal();
      proxy().cut();
    },
  };
}

/** The faults of a path that leads through a proxy. */
export function pathFaults(proxy: () => FaultProxy) {
  return {
    hangs: {
      arrange: () => inTheMiddle(proxy, () => proxy().set({ blackHole: true })),
      code: 'target-timeout',
      stage: 'transfer',
      stopsClock: true,
    },
    cut: {
      arrange: () => inTheMiddle(proxy, () => proxy().cut()),
      code: 'target-connection-lost',
      stage: 'transfer',
    },
  } as const;
}

/** Checks that fail in the same way over every transport. */
export const commonChecks = {
  program: { arrange: () => withProgram('rsync', 'exit 127') },
  spool: { arrange: () => ({ config: { batchBytes: '900000GB' } }) },
  resolve: { arrange: () => ({ config: { host: 'no-such-host.invalid' } }) },
};

/** Another program of the same name precedes the real one in PATH. */
export async function withProgram(name: string, script: string): Promise<ArrangedFault> {
  const folder = await tempFolder('programs');
  await writeFile(join(folder.path, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const path = process.env['PATH'];
  process.env['PATH'] = `${folder.path}:${path}`;
  return {
    undo: async () => {
      process.env['PATH'] = path;
      await folder.remove();
    },
  };
}

/** What the contract suite checks in the folder of a target. */
export function look(path: string, spool: TempFolder): Omit<StartedTarget, 'config' | 'stop'> {
  return {
    received: (study) => receivedFiles(path, study),
    names: () => filesUnder(path),
    litter: async () => [
      ...(await readdir(spool.path)),
      ...(await filesUnder(path)).filter((name) => /\.~tmp~|probe|\.dcm\.\w{6}$/.test(name)),
    ],
    fingerprint: async () => {
      const names = await filesUnder(path);
      return Promise.all(names.map(async (name) => [name, (await stat(join(path, name), { bigint: true })).ctimeNs]));
    },
  };
}

/** A layout whose names come from tags. */
export const hostile = {
  config: {
    layout: '{PatientID}/{PatientName}_{StudyDescription}/{Modality}_{SeriesNumber}/{SOPInstanceUID}.dcm',
    marker: undefined,
  },
};

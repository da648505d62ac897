import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeStudy } from '@dicom-dispatch/samples';
import type { SampleInstance, StudyOptions } from '@dicom-dispatch/samples';
import { UID, connect } from 'dicom-dimse';
import type { Association, ConnectOptions, PresentationContextRequest } from 'dicom-dimse';

const execute = promisify(execFile);

export interface Ran {
  readonly exitCode: number;
  /** Standard output and error output. */
  readonly output: string;
}

/** Runs one of DCMTK's tools to its end. */
export async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  try {
    const { stdout, stderr } = await execute(command, args, { env: { ...process.env, ...env }, maxBuffer: 2 ** 26 });
    return { exitCode: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { exitCode: code, output: `${stdout}${stderr}` };
  }
}

export const VERIFICATION: PresentationContextRequest = {
  abstractSyntax: UID.verification,
  transferSyntaxes: ['1.2.840.10008.1.2'],
};

export function sampleStudy(options: StudyOptions = {}): SampleInstance[] {
  return [...makeStudy({ instancesPerSeries: 4, ...options })];
}

/** One context for each SOP class and transfer syntax. */
export function contextsFor(instances: readonly SampleInstance[]): PresentationContextRequest[] {
  const pairs = new Map(instances.map((one) => [`${one.sopClassUid} ${one.transferSyntaxUid}`, one]));
  return [...pairs.values()].map(({ sopClassUid, transferSyntaxUid }) => ({
    abstractSyntax: sopClassUid,
    transferSyntaxes: [transferSyntaxUid],
  }));
}

export function open(
  options: Partial<ConnectOptions> & Pick<ConnectOptions, 'port' | 'presentationContexts'>,
): Promise<Association> {
  return connect({ host: '127.0.0.1', callingAeTitle: 'DIMSE_SCU', calledAeTitle: 'ANY_SCP', ...options });
}

/** Writes each instance into a folder; returns the paths. */
export function writeFiles(folder: string, instances: readonly SampleInstance[]): Promise<string[]> {
  return Promise.all(
    instances.map(async (instance) => {
      const path = join(folder, `${instance.sopInstanceUid}.dcm`);
      await writeFile(path, instance.bytes);
      return path;
    }),
  );
}

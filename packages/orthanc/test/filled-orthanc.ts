import { startOrthanc } from '@dicom-dispatch/harness';
import type { OrthancOptions, OrthancServer } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import type { SampleInstance, SampleStudy } from '@dicom-dispatch/samples';

import { createOrthancClient } from '../src/index.ts';
import type { OrthancClient, OrthancClientOptions } from '../src/index.ts';

export interface FilledOrthanc extends AsyncDisposable {
  server: OrthancServer;
  client: OrthancClient;
  /** CT, two series of three instances. */
  study: SampleStudy;
  instances: SampleInstance[];
  /** Orthanc's identifiers. */
  patientId: string;
  studyId: string;
  /** By SOP Instance UID. */
  instanceIds: Map<string, string>;
}

/** A real Orthanc with one study, and a client of it. */
export async function startFilledOrthanc(
  options: OrthancOptions = {},
  clientOptions: Partial<OrthancClientOptions> = {},
): Promise<FilledOrthanc> {
  const server = await startOrthanc(options);
  const { url, username, password } = server;
  const login = username === undefined || password === undefined ? {} : { username, password };
  const client = createOrthancClient({ url, ...login, ...clientOptions });
  const study = makeStudy({ series: 2, instancesPerSeries: 3, rows: 64, columns: 64 });
  const instances = [...study];
  const instanceIds = new Map<string, string>();
  let studyId = '';
  let patientId = '';
  for (const instance of instances) {
    const stored = await client.uploadInstance(instance.bytes);
    instanceIds.set(instance.sopInstanceUid, stored.ID ?? '');
    studyId = stored.ParentStudy ?? '';
    patientId = stored.ParentPatient ?? '';
  }
  async function stop(): Promise<void> {
    await client.close();
    await server.stop();
  }
  return { server, client, study, instances, patientId, studyId, instanceIds, [Symbol.asyncDispose]: stop };
}

/** A complete body. */
export async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Drops `undefined`: an id that must be there. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('expected a value');
  return value;
}

/** Identifiers of nothing. */
export const noResource = '00000000-00000000-00000000-00000000-00000000';
export const noJob = '00000000-0000-0000-0000-000000000000';

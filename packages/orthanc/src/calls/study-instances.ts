import { z } from 'zod';

import type { CallContext } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import { eachBounded } from '../each-bounded.ts';
import { OrthancError } from '../orthanc-error.ts';
import { instanceSchema, metadataSchema, seriesSchema } from '../schema.ts';
import type { Metadata } from '../schema.ts';

/** An instance as a sender needs it. */
export interface StudyInstance {
  /** Orthanc's identifier. */
  id: string;
  /** Orthanc's identifier of the series. */
  seriesId: string;
  sopInstanceUid: string;
  seriesInstanceUid: string;
  /** Undefined when neither Orthanc's metadata nor the file's meta information tells. */
  sopClassUid: string | undefined;
  transferSyntaxUid: string | undefined;
  /** Of the DICOM file as Orthanc hands it out. */
  fileSizeBytes: number;
  /** Tag (0020,0013), when it is there and a number. */
  instanceNumber: number | undefined;
  /** When Orthanc stored it: `YYYYMMDDTHHMMSS`, UTC. */
  receptionDate: string | undefined;
  /** `DicomProtocol`, `RestApi`, `Plugins`, `Lua` or `WebDav`. */
  origin: string | undefined;
  remoteAet: string | undefined;
  calledAet: string | undefined;
  remoteIp: string | undefined;
}

const withMetadataSchema = instanceSchema.extend({ Metadata: metadataSchema });
type WithMetadata = z.output<typeof withMetadataSchema>;

const headerSchema = z.object({
  MediaStorageSOPClassUID: z.string().optional(),
  TransferSyntaxUID: z.string().optional(),
});

/** Requests at once where one request cannot do it. */
const concurrency = 4;

/**
 * All instances of a study, by series, instance number and UID: one request for them and one for the series' UIDs.
 * A server without `/tools/bulk-content` (or a proxy that refuses it) is asked instance by instance.
 *
 * @throws OrthancError `not-found` when there is no such study
 */
export async function listStudyInstances(
  context: CallContext,
  studyId: string,
  options: CallOptions | undefined,
): Promise<StudyInstance[]> {
  const { transport } = context;
  const [series, instances] = await Promise.all([
    transport.json(z.array(seriesSchema), {
      method: 'GET',
      target: target(path`/studies/${studyId}/series`, { expand: true }),
      options,
    }),
    readWithMetadata(context, studyId, options),
  ]);
  const uids = new Map(series.map((each) => [each.ID, each.MainDicomTags['SeriesInstanceUID'] ?? '']));
  // A series that arrived between the two answers.
  const late = new Set(instances.map((instance) => instance.ParentSeries).filter((id) => !uids.has(id)));
  for (const id of late) {
    const found = await transport.json(seriesSchema, { method: 'GET', target: target(path`/series/${id}`), options });
    uids.set(id, found.MainDicomTags['SeriesInstanceUID'] ?? '');
  }
  const listed = instances.map((instance) => toStudyInstance(instance, uids));
  const unknown = listed.filter((each) => each.sopClassUid === undefined || each.transferSyntaxUid === undefined);
  await eachBounded(unknown, concurrency, (instance) => fillFromHeader(transport, instance, options));
  return listed.sort(byPlace);
}

async function readWithMetadata(
  context: CallContext,
  studyId: string,
  options: CallOptions | undefined,
): Promise<WithMetadata[]> {
  const { transport } = context;
  if (!(await context.features(options)).bulkContent) return readOneByOne(transport, studyId, options);
  try {
    return await transport.json(z.array(withMetadataSchema), {
      method: 'POST',
      target: target('/tools/bulk-content'),
      json: { Resources: [studyId], Level: 'Instance', Metadata: true },
      idempotent: true,
      options,
    });
  } catch (error) {
    // A proxy in front may let only GET through.
    const refused = error instanceof OrthancError && [403, 404, 405].includes(error.status ?? 0);
    if (!refused) throw error;
    return readOneByOne(transport, studyId, options);
  }
}

async function readOneByOne(
  transport: Transport,
  studyId: string,
  options: CallOptions | undefined,
): Promise<WithMetadata[]> {
  const instances = await transport.json(z.array(instanceSchema), {
    method: 'GET',
    target: target(path`/studies/${studyId}/instances`, { expand: true }),
    options,
  });
  const read: WithMetadata[] = [];
  await eachBounded(instances, concurrency, async (instance) => {
    const metadata: Metadata = await transport.json(metadataSchema, {
      method: 'GET',
      target: target(path`/instances/${instance.ID}/metadata`, { expand: true }),
      options,
    });
    read.push({ ...instance, Metadata: metadata });
  });
  return read;
}

function toStudyInstance(instance: WithMetadata, seriesUids: ReadonlyMap<string, string>): StudyInstance {
  const { MainDicomTags: tags, Metadata: metadata } = instance;
  return {
    id: instance.ID,
    seriesId: instance.ParentSeries,
    sopInstanceUid: tags['SOPInstanceUID'] ?? '',
    seriesInstanceUid: seriesUids.get(instance.ParentSeries) ?? '',
    sopClassUid: textOf(metadata['SopClassUid']),
    transferSyntaxUid: textOf(metadata['TransferSyntax']),
    fileSizeBytes: instance.FileSize,
    instanceNumber: parseNumber(tags['InstanceNumber']),
    receptionDate: textOf(metadata['ReceptionDate']),
    origin: textOf(metadata['Origin']),
    remoteAet: textOf(metadata['RemoteAET']),
    calledAet: textOf(metadata['CalledAET']),
    remoteIp: textOf(metadata['RemoteIP']),
  };
}

/** Instances stored by an old Orthanc lack metadata: their file meta information (PS3.10, section 7.1) has it. */
async function fillFromHeader(
  transport: Transport,
  instance: StudyInstance,
  options: CallOptions | undefined,
): Promise<void> {
  const header = await transport.json(headerSchema, {
    method: 'GET',
    target: target(path`/instances/${instance.id}/header`, { simplify: true }),
    options,
  });
  instance.sopClassUid ??= textOf(header.MediaStorageSOPClassUID);
  instance.transferSyntaxUid ??= textOf(header.TransferSyntaxUID);
}

function byPlace(one: StudyInstance, other: StudyInstance): number {
  return (
    compare(one.seriesInstanceUid, other.seriesInstanceUid) ||
    (one.instanceNumber ?? Infinity) - (other.instanceNumber ?? Infinity) ||
    compare(one.sopInstanceUid, other.sopInstanceUid)
  );
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function textOf(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}

function parseNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*[+-]?\d{1,12}\s*$/.test(text) ? Number(text) : undefined;
}

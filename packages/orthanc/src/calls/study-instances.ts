import { z } from 'zod';

import type { CallContext } from '../call-context.ts';
import { expectAbout } from '../http/about.ts';
import { path, target } from '../http/path.ts';
import { parseJson } from '../http/transport.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import { eachBounded } from '../each-bounded.ts';
import { OrthancError } from '../orthanc-error.ts';
import type { CallName } from '../translate-error.ts';
import { idSchema, seriesSchema } from '../schema.ts';
import type { Series } from '../schema.ts';

/** An instance as a sender needs it. */
export interface StudyInstance {
  /** Orthanc's identifier. */
  id: string;
  /** Orthanc's identifier of the series. */
  seriesId: string;
  sopInstanceUid: string;
  seriesInstanceUid: string;
  /** Undefined if neither Orthanc's metadata nor the file's meta information has it. */
  sopClassUid: string | undefined;
  transferSyntaxUid: string | undefined;
  /** Of the DICOM file as returned by Orthanc. */
  fileSizeBytes: number;
  /** Name of the DICOM file in the storage area. */
  fileUuid: string | undefined;
  /** Tag (0020,0013), if it exists and is a number. */
  instanceNumber: number | undefined;
  /** When Orthanc stored it: `YYYYMMDDTHHMMSS`, UTC. */
  receptionDate: string | undefined;
  /** `DicomProtocol`, `RestApi`, `Plugins`, `Lua` or `WebDav`. */
  origin: string | undefined;
  remoteAet: string | undefined;
  calledAet: string | undefined;
  remoteIp: string | undefined;
}

/**
 * Only the fields that are read, of any type: an unusual value of one instance must not fail the study, and checking 90 000
 * instances must not take a second.
 */
const withMetadataSchema = z.object({
  ID: idSchema,
  FileSize: z.number().int().nonnegative(),
  FileUuid: z.string().max(64).optional(),
  ParentSeries: idSchema,
  MainDicomTags: z.object({ SOPInstanceUID: z.unknown().optional(), InstanceNumber: z.unknown().optional() }),
  Metadata: z.object({
    SopClassUid: z.unknown().optional(),
    TransferSyntax: z.unknown().optional(),
    ReceptionDate: z.unknown().optional(),
    Origin: z.unknown().optional(),
    RemoteAET: z.unknown().optional(),
    CalledAET: z.unknown().optional(),
    RemoteIP: z.unknown().optional(),
  }),
});
export type WithMetadata = z.output<typeof withMetadataSchema>;

const headerSchema = z.object({
  MediaStorageSOPClassUID: z.unknown().optional(),
  TransferSyntaxUID: z.unknown().optional(),
});

/** A longer list of one study is read in pages: some 25 000 instances. */
const maxListBytes = 16 * 1024 * 1024;
const pageInstances = 5_000;

/** Parallel requests if one request is not sufficient. */
const concurrency = 4;

/**
 * All instances of a study, by series, instance number and UID: one request for them and one for the series' UIDs. A study
 * with a list of more than 16 MiB is read in pages. Without `/tools/bulk-content` (or if a proxy rejects it) each instance is
 * requested individually.
 *
 * @throws OrthancError `not-found` if the study does not exist, `protocol` if a response is about another one, `conflict`
 * if the responses are inconsistent
 */
export async function listStudyInstances(
  context: CallContext,
  studyId: string,
  options: CallOptions | undefined,
): Promise<StudyInstance[]> {
  const { transport } = context;
  const atSeries = target(path`/studies/${studyId}/series`, { expand: true });
  const seriesList = transport.json(z.array(seriesSchema), { method: 'GET', target: atSeries, options });
  const [series, instances] = await Promise.all([seriesList, readWithMetadata(context, studyId, seriesList, options)]);
  const call = { method: 'GET', path: atSeries.path };
  expectAbout(
    studyId,
    series.map((each) => each.ParentStudy),
    call,
  );
  expectAll(series, instances, call);
  const uids = new Map(series.map((each) => [each.ID, each.MainDicomTags['SeriesInstanceUID'] ?? '']));
  // A series that arrived between the two responses.
  const late = new Set(instances.map((instance) => instance.ParentSeries).filter((id) => !uids.has(id)));
  for (const id of late) {
    const found = await transport.json(seriesSchema, { method: 'GET', target: target(path`/series/${id}`), options });
    expectAbout(studyId, [found.ParentStudy], { method: 'GET', path: path`/series/${id}` });
    uids.set(id, found.MainDicomTags['SeriesInstanceUID'] ?? '');
  }
  return toStudyInstances(context, instances, uids, options);
}

/**
 * @param uids - Series Instance UIDs by Orthanc's identifier of the series
 */
export async function toStudyInstances(
  { transport }: CallContext,
  instances: readonly WithMetadata[],
  uids: ReadonlyMap<string, string>,
  options: CallOptions | undefined,
): Promise<StudyInstance[]> {
  const listed = toListedInstances(instances, uids);
  const unknown = listed.filter((each) => each.sopClassUid === undefined || each.transferSyntaxUid === undefined);
  await eachBounded(unknown, concurrency, (instance) => fillFromHeader(transport, instance, options));
  return listed;
}

/** Instances with what Orthanc's database contains of them, by series, instance number and UID. */
export function toListedInstances(
  instances: readonly WithMetadata[],
  uids: ReadonlyMap<string, string>,
): StudyInstance[] {
  return instances.map((instance) => toStudyInstance(instance, uids)).sort(byPlace);
}

/**
 * Both responses are about the same study: an instance that only the series contain was deleted or added in between, or the
 * list of instances is incomplete. An incomplete study must not be treated as complete.
 */
function expectAll(series: readonly Series[], instances: readonly WithMetadata[], call: CallName): void {
  const listed = new Set(instances.map(({ ID }) => ID));
  const missing = series.reduce((sum, each) => sum + each.Instances.filter((id) => !listed.has(id)).length, 0);
  if (missing === 0) return;
  const text = `${call.method} ${call.path}: ${missing} instances of its series are not among those of the study; read it again`;
  throw new OrthancError('conflict', text, call);
}

async function readWithMetadata(
  context: CallContext,
  studyId: string,
  series: Promise<readonly Series[]>,
  options: CallOptions | undefined,
): Promise<WithMetadata[]> {
  const { transport } = context;
  if (!(await context.features(options)).bulkContent) return readOneByOne(transport, studyId, options);
  try {
    return await readBulk(transport, [studyId], options);
  } catch (error) {
    if (!(error instanceof OrthancError)) throw error;
    if (error.code === 'too-large') return readPages(transport, await series, options);
    // A proxy may allow only GET.
    if (![403, 404, 405].includes(error.status ?? 0)) throw error;
    return readOneByOne(transport, studyId, options);
  }
}

/** Instances, by Orthanc ids of studies, series or instances. */
export async function readBulk(
  transport: Transport,
  resources: readonly string[],
  options: CallOptions | undefined,
  maxBytes = maxListBytes,
): Promise<WithMetadata[]> {
  const request = {
    method: 'POST',
    target: target('/tools/bulk-content'),
    json: { Resources: resources, Level: 'Instance', Metadata: true },
    idempotent: true,
    options,
  } as const;
  const limitBytes = Math.min(maxBytes, transport.options.maxJsonBytes);
  return parseJson(z.array(withMetadataSchema), await transport.bytes(request, limitBytes), {
    method: request.method,
    path: request.target.path,
  });
}

async function readPages(
  transport: Transport,
  series: readonly Series[],
  options: CallOptions | undefined,
): Promise<WithMetadata[]> {
  const ids = series.flatMap((each) => each.Instances);
  const read: WithMetadata[] = [];
  for (let at = 0; at < ids.length; at += pageInstances) {
    try {
      read.push(...(await readBulk(transport, ids.slice(at, at + pageInstances), options)));
    } catch (error) {
      if (!(error instanceof OrthancError) || error.code !== 'not-found') throw error;
      // One of them was deleted meanwhile: this does not mean that the study was deleted.
      throw new OrthancError('conflict', 'POST /tools/bulk-content: the study has changed meanwhile; read it again', {
        cause: error,
      });
    }
  }
  return read;
}

async function readOneByOne(
  transport: Transport,
  studyId: string,
  options: CallOptions | undefined,
): Promise<WithMetadata[]> {
  const instances = await transport.json(z.array(withMetadataSchema.omit({ Metadata: true })), {
    method: 'GET',
    target: target(path`/studies/${studyId}/instances`, { expand: true }),
    options,
  });
  const read: WithMetadata[] = [];
  await eachBounded(instances, concurrency, async (instance) => {
    read.push(await addMetadata(transport, instance, options));
  });
  return read;
}

/** One instance in the format of `/tools/bulk-content`. */
export async function readAlone(
  transport: Transport,
  instanceId: string,
  options: CallOptions | undefined,
): Promise<WithMetadata> {
  const instance = await transport.json(withMetadataSchema.omit({ Metadata: true }), {
    method: 'GET',
    target: target(path`/instances/${instanceId}`),
    options,
  });
  return addMetadata(transport, instance, options);
}

async function addMetadata(
  transport: Transport,
  instance: Omit<WithMetadata, 'Metadata'>,
  options: CallOptions | undefined,
): Promise<WithMetadata> {
  const metadata = await transport.json(withMetadataSchema.shape.Metadata, {
    method: 'GET',
    target: target(path`/instances/${instance.ID}/metadata`, { expand: true }),
    options,
  });
  return { ...instance, Metadata: metadata };
}

function toStudyInstance(instance: WithMetadata, seriesUids: ReadonlyMap<string, string>): StudyInstance {
  const { MainDicomTags: tags, Metadata: metadata } = instance;
  return {
    id: instance.ID,
    seriesId: instance.ParentSeries,
    sopInstanceUid: textOf(tags.SOPInstanceUID) ?? '',
    seriesInstanceUid: seriesUids.get(instance.ParentSeries) ?? '',
    sopClassUid: textOf(metadata.SopClassUid),
    transferSyntaxUid: textOf(metadata.TransferSyntax),
    fileSizeBytes: instance.FileSize,
    fileUuid: textOf(instance.FileUuid),
    instanceNumber: parseNumber(textOf(tags.InstanceNumber)),
    receptionDate: textOf(metadata.ReceptionDate),
    origin: textOf(metadata.Origin),
    remoteAet: textOf(metadata.RemoteAET),
    calledAet: textOf(metadata.CalledAET),
    remoteIp: textOf(metadata.RemoteIP),
  };
}

/** Instances stored by an old Orthanc lack metadata: their file meta information (PS3.10, section 7.1) has it. */
async function fillFromHeader(
  transport: Transport,
  instance: StudyInstance,
  options: CallOptions | undefined,
): Promise<void> {
  try {
    const header = await transport.json(headerSchema, {
      method: 'GET',
      target: target(path`/instances/${instance.id}/header`, { simplify: true }),
      options,
    });
    instance.sopClassUid ??= textOf(header.MediaStorageSOPClassUID);
    instance.transferSyntaxUid ??= textOf(header.TransferSyntaxUID);
  } catch (error) {
    // Orthanc cannot read this file: the others of the study are listed nevertheless.
    const isOfFile =
      error instanceof OrthancError &&
      error.isOrthancAnswer &&
      (error.code === 'server-error' || error.code === 'bad-request');
    if (!isOfFile) throw error;
  }
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

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function parseNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*[+-]?\d{1,12}\s*$/.test(text) ? Number(text) : undefined;
}

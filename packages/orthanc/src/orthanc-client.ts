import type { CallContext } from './call-context.ts';
import { createArchive } from './calls/archive-calls.ts';
import type { ArchiveOptions } from './calls/archive-calls.ts';
import { countResources, findIds, findResources, lookup } from './calls/find.ts';
import type { FindQuery, LookupResult } from './calls/find.ts';
import { readInstanceFile } from './calls/instance-file.ts';
import type { InstanceFileOptions } from './calls/instance-file.ts';
import { createJobCalls } from './calls/job-calls.ts';
import { createInstancesCalls, createPatientCalls, createSeriesCalls, createStudyCalls } from './calls/level-calls.ts';
import type { InstancesCalls, PatientCalls, SeriesCalls, StudyCalls } from './calls/level-calls.ts';
import { createModalityCalls } from './calls/modality-calls.ts';
import { createPeerCalls } from './calls/peer-calls.ts';
import { createQueryCalls } from './calls/query-calls.ts';
import {
  readArrivedInstances,
  type ArrivedInstance,
  type ArrivedLevel,
  type SeriesPlace,
} from './calls/arrived-instances.ts';
import { readChanges, readLastChange } from './calls/read-changes.ts';
import type { ChangesQuery } from './calls/read-changes.ts';
import type { ResourceOf } from './calls/resource-calls.ts';
import { readNow } from './calls/read-now.ts';
import { readStatistics } from './calls/statistics.ts';
import type { Statistics } from './calls/statistics.ts';
import { readStudyContents, type StudyContents } from './calls/study-contents.ts';
import { listStudyInstances } from './calls/study-instances.ts';
import type { StudyInstance } from './calls/study-instances.ts';
import { readStudyTags } from './calls/study-tags.ts';
import type { StudyTags } from './calls/study-tags.ts';
import { uploadInstance, uploadZip } from './calls/upload.ts';
import type { UploadOptions, UploadResult } from './calls/upload.ts';
import type { Level } from './call-context.ts';
import { resolveOptions } from './client-options.ts';
import type { OrthancClientOptions } from './client-options.ts';
import { detectFeatures } from './features.ts';
import type { Features } from './features.ts';
import { target } from './http/path.ts';
import { Transport } from './http/transport.ts';
import type { ByteStream, CallOptions, FileStream, UploadBody } from './http/transport.ts';
import { idsSchema, systemSchema } from './schema.ts';
import type { Change, Changes, Metadata, Study, System } from './schema.ts';

/**
 * A client of one Orthanc. Responses keep Orthanc's own field names; results that this client computes have their own.
 * Every call takes `{ signal, timeoutMs }` last, and throws only {@link OrthancError}.
 *
 * Calls for routing and sending are defined here, all others by subject: `client.studies.archive(id)`.
 */
export class OrthancClient {
  readonly patients: PatientCalls;
  readonly studies: StudyCalls;
  readonly series: SeriesCalls;
  readonly instances: InstancesCalls;
  readonly jobs: ReturnType<typeof createJobCalls>;
  readonly modalities: ReturnType<typeof createModalityCalls>;
  readonly queries: ReturnType<typeof createQueryCalls>;
  readonly peers: ReturnType<typeof createPeerCalls>;
  readonly #context: CallContext;
  #features: Features | undefined;

  constructor(options: OrthancClientOptions) {
    const transport = new Transport(resolveOptions(options));
    const context: CallContext = { transport, features: (options) => this.features(options) };
    this.#context = context;
    this.patients = createPatientCalls(context);
    this.studies = createStudyCalls(context);
    this.series = createSeriesCalls(context);
    this.instances = createInstancesCalls(context);
    this.jobs = createJobCalls(context);
    this.modalities = createModalityCalls(context);
    this.queries = createQueryCalls(context);
    this.peers = createPeerCalls(context);
  }

  /** `/system`: version, capabilities, settings. Read each time, which also updates `features()`. */
  async system(options?: CallOptions): Promise<System> {
    const request = { method: 'GET', target: target('/system'), options } as const;
    const system = await this.#context.transport.json(systemSchema, request);
    this.#features = detectFeatures(system);
    return system;
  }

  /** `/plugins`: names of the plugins that run. */
  async plugins(options?: CallOptions): Promise<string[]> {
    return this.#context.transport.json(idsSchema, { method: 'GET', target: target('/plugins'), options });
  }

  /** Features of the server. Read once; `system()` reads them again, which is useful after it was unreachable. */
  async features(options?: CallOptions): Promise<Features> {
    return this.#features ?? detectFeatures(await this.system(options));
  }

  /** Size of the server's content. */
  async statistics(options?: CallOptions): Promise<Statistics> {
    return readStatistics(this.#context, options);
  }

  /** The server's clock, `YYYYMMDDTHHMMSS` in UTC. */
  async now(options?: CallOptions): Promise<string> {
    return readNow(this.#context, options);
  }

  /**
   * A page of the change feed. The feed has gaps (deleting a study deletes its changes); `Last` of an empty page is the
   * requested `since`, not the last change of the server.
   */
  async changes(query: ChangesQuery = {}, options?: CallOptions): Promise<Changes> {
    return readChanges(this.#context, query, options);
  }

  /** The newest change, or undefined if there is none. */
  async lastChange(options?: CallOptions): Promise<Change | undefined> {
    return readLastChange(this.#context, options);
  }

  /** One study with its main tags and the identifiers of its series; the same as `studies.read`. */
  async study(studyId: string, options?: CallOptions): Promise<Study> {
    return this.studies.read(studyId, options);
  }

  /** Metadata of a resource by name, e.g. `LastUpdate`, `RemoteAET`, `Origin`. */
  async metadata(level: Level, id: string, options?: CallOptions): Promise<Metadata> {
    return this[level].metadata(id, options);
  }

  /** All instances of a study with the data for sending them, usually in two requests. */
  async studyInstances(studyId: string, options?: CallOptions): Promise<StudyInstance[]> {
    return listStudyInstances(this.#context, studyId, options);
  }

  /** Instances that have arrived, by their identifiers or those of their series; see `readArrivedInstances`. */
  async arrivedInstances(
    level: ArrivedLevel,
    ids: readonly string[],
    known: Map<string, SeriesPlace>,
    options?: CallOptions,
  ): Promise<ArrivedInstance[]> {
    return readArrivedInstances(this.#context, level, ids, known, options);
  }

  /** Main tags of a study and its series, with computed ones, in two requests. */
  async studyTags(studyId: string, options?: CallOptions): Promise<StudyTags> {
    return readStudyTags(this.#context, studyId, options);
  }

  /** Several studies with their tags and instances, in few requests, without those to be read separately; see `readStudyContents`. */
  async studyContents(studyIds: readonly string[], untilMs: number, options?: CallOptions): Promise<StudyContents[]> {
    return readStudyContents(this.#context, studyIds, untilMs, options);
  }

  /** The DICOM file of an instance as a stream, on the fast path. */
  async instanceFile(instanceId: string, options?: InstanceFileOptions): Promise<FileStream> {
    return readInstanceFile(this.#context, instanceId, options);
  }

  /** Stores a DICOM file. */
  async uploadInstance(body: UploadBody, options?: UploadOptions): Promise<UploadResult> {
    return uploadInstance(this.#context, body, options);
  }

  /** Stores all DICOM files of a ZIP. */
  async uploadZip(body: UploadBody, options?: UploadOptions): Promise<UploadResult[]> {
    return uploadZip(this.#context, body, options);
  }

  /** Matching resources, expanded (`/tools/find`). */
  async find<L extends Level>(query: FindQuery<L>, options?: CallOptions): Promise<ResourceOf[L][]> {
    return findResources(this.#context, query, options);
  }

  /** Orthanc's identifiers of matching resources (`/tools/find`). */
  async findIds(query: FindQuery<Level>, options?: CallOptions): Promise<string[]> {
    return findIds(this.#context, query, options);
  }

  /** Number of matching resources (`/tools/count-resources`, or by listing on servers before 1.12.5). */
  async count(
    query: Omit<FindQuery<Level>, 'since' | 'limit' | 'orderBy' | 'requestedTags'>,
    options?: CallOptions,
  ): Promise<number> {
    return countResources(this.#context, query, options);
  }

  /** Resources of all levels whose PatientID, UID or AccessionNumber is exactly `identifier` (`/tools/lookup`). */
  async lookup(identifier: string, options?: CallOptions): Promise<LookupResult[]> {
    return lookup(this.#context, identifier, options);
  }

  /** One ZIP of any resources. */
  async archive(resources: readonly string[], options?: ArchiveOptions): Promise<ByteStream> {
    return createArchive(this.#context, resources, options);
  }

  /** Ends all connections; running calls fail as `cancelled`. */
  close(): Promise<void> {
    return this.#context.transport.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** @throws OrthancError `bad-request` with the name of the invalid option. It does not connect yet. */
export function createOrthancClient(options: OrthancClientOptions): OrthancClient {
  return new OrthancClient(options);
}

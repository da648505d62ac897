import { resolveOptions } from './client-options.ts';
import type { OrthancClientOptions } from './client-options.ts';
import { readInstanceFile } from './calls/instance-file.ts';
import type { InstanceFileOptions } from './calls/instance-file.ts';
import { readChanges, readLastChange } from './calls/read-changes.ts';
import type { ChangesQuery } from './calls/read-changes.ts';
import { listStudyInstances } from './calls/study-instances.ts';
import type { StudyInstance } from './calls/study-instances.ts';
import { readStudyTags } from './calls/study-tags.ts';
import type { StudyTags } from './calls/study-tags.ts';
import { detectFeatures } from './features.ts';
import type { Features } from './features.ts';
import { path, target } from './http/path.ts';
import { Transport } from './http/transport.ts';
import type { FileStream, CallOptions } from './http/transport.ts';
import { metadataSchema, studySchema, systemSchema } from './schema.ts';
import type { Change, Changes, Metadata, Study, System } from './schema.ts';

/**
 * A client of one Orthanc. Answers keep Orthanc's own field names; what this client puts together has names of its own.
 * Every call takes `{ signal, timeoutMs }` last, and throws nothing but {@link OrthancError}.
 */
export class OrthancClient {
  readonly #transport: Transport;
  #features: Features | undefined;

  constructor(options: OrthancClientOptions) {
    this.#transport = new Transport(resolveOptions(options));
  }

  /** `/system`: version, capabilities, settings. Asked anew each time, and what `features()` knows is renewed by it. */
  async system(options?: CallOptions): Promise<System> {
    const system = await this.#transport.json(systemSchema, { method: 'GET', target: target('/system'), options });
    this.#features = detectFeatures(system);
    return system;
  }

  /** What the server can do. Asked once; `system()` asks again, which is worth doing after it was unreachable. */
  async features(options?: CallOptions): Promise<Features> {
    return this.#features ?? detectFeatures(await this.system(options));
  }

  /** A page of the change feed; see {@link ChangesQuery} and its warnings. */
  async changes(query: ChangesQuery = {}, options?: CallOptions): Promise<Changes> {
    return readChanges(this.#transport, await this.features(options), query, options);
  }

  /** The newest change, or undefined when there is none. */
  lastChange(options?: CallOptions): Promise<Change | undefined> {
    return readLastChange(this.#transport, options);
  }

  /** One study with its main tags and the identifiers of its series. */
  async study(studyId: string, options?: CallOptions): Promise<Study> {
    return this.#transport.json(studySchema, { method: 'GET', target: target(path`/studies/${studyId}`), options });
  }

  /** Metadata of a resource by name, e.g. `LastUpdate`, `RemoteAET`, `Origin`. */
  async metadata(
    level: 'patients' | 'studies' | 'series' | 'instances',
    id: string,
    options?: CallOptions,
  ): Promise<Metadata> {
    const where = target(path`/${level}/${id}/metadata`, { expand: true });
    return this.#transport.json(metadataSchema, { method: 'GET', target: where, options });
  }

  /** All instances of a study with what a sender needs of them, in two requests. */
  async studyInstances(studyId: string, options?: CallOptions): Promise<StudyInstance[]> {
    return listStudyInstances(this.#transport, await this.features(options), studyId, options);
  }

  /** Main tags of a study and its series, with computed ones, in two requests. */
  async studyTags(studyId: string, options?: CallOptions): Promise<StudyTags> {
    return readStudyTags(this.#transport, studyId, options);
  }

  /** The DICOM file of an instance as a stream, on the fast path. */
  async instanceFile(instanceId: string, options?: InstanceFileOptions): Promise<FileStream> {
    return readInstanceFile(this.#transport, () => this.features(options), instanceId, options);
  }

  /** Ends all connections; running calls fail as `cancelled`. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * @throws OrthancError `bad-request` naming the option at fault. It does not connect yet.
 */
export function createOrthancClient(options: OrthancClientOptions): OrthancClient {
  return new OrthancClient(options);
}

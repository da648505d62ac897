import { z } from 'zod';

import type { CallContext, Level } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { ByteStream, CallOptions } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import { jobReferenceSchema } from './job-schema.ts';

/** What to change. Names of tags are keywords, numbers (`0010,0010`), or paths into sequences (1.9.4). */
export interface ModifyRequest {
  Replace?: Readonly<Record<string, unknown>>;
  Remove?: readonly string[];
  /** Tags to leave as they are, also UIDs (with `Force`). */
  Keep?: readonly string[];
  RemovePrivateTags?: boolean;
  PrivateCreator?: string;
  /** Required to change or keep identifiers. */
  Force?: boolean;
  /** Default true: the source is kept. */
  KeepSource?: boolean;
  KeepLabels?: boolean;
  /** Transfer syntax UID of the result. */
  Transcode?: string;
  /** Of a job: a higher one runs first. */
  Priority?: number;
  [further: string]: unknown;
}

export interface AnonymiseRequest extends Omit<ModifyRequest, 'RemovePrivateTags'> {
  KeepPrivateTags?: boolean;
  /** Edition of PS3.15 table E.1-1 to follow, e.g. `2021b`; Orthanc's latest when absent. */
  DicomVersion?: string;
}

const resultSchema = z.looseObject({
  ID: z.string(),
  Path: z.string(),
  Type: z.string().optional(),
  PatientID: z.string().optional(),
  InstancesCount: z.number().optional(),
  FailedInstancesCount: z.number().optional(),
});

/** The resulting resource, by Orthanc id. */
export type ModifyResult = z.output<typeof resultSchema>;

type Act = 'modify' | 'anonymize';

/** Modify and anonymise patients, studies and series: the result is stored in Orthanc. */
export function createModifyCalls(context: CallContext, level: Exclude<Level, 'instances'>) {
  async function now(id: string, act: Act, request: object, options?: CallOptions): Promise<ModifyResult> {
    const where = target(path`/${level}/${id}/${act}`);
    const json = { ...request, Synchronous: true };
    const result = await context.transport.json(resultSchema, { method: 'POST', target: where, json, options });
    const failed = result.FailedInstancesCount ?? 0;
    if (failed === 0) return result;
    const text = `POST ${where.path}: ${failed} of ${result.InstancesCount ?? '?'} instances failed; see Orthanc's log`;
    throw new OrthancError('job-failed', text, { method: 'POST', path: where.path });
  }

  async function asJob(id: string, act: Act, request: object, options?: CallOptions): Promise<string> {
    const where = target(path`/${level}/${id}/${act}`);
    const json = { ...request, Asynchronous: true };
    return (await context.transport.json(jobReferenceSchema, { method: 'POST', target: where, json, options })).ID;
  }

  return {
    /**
     * Waits for the result. The server sends nothing meanwhile: for a large study use a longer `timeoutMs`, or `modifyJob`.
     *
     * @throws OrthancError `job-failed` if not all instances could be changed
     */
    modify: (id: string, request: ModifyRequest, options?: CallOptions) => now(id, 'modify', request, options),

    /** Starts a job and returns its identifier, for `jobs.wait`. */
    modifyJob: (id: string, request: ModifyRequest, options?: CallOptions) => asJob(id, 'modify', request, options),

    /** By the basic profile of PS3.15, section E.2. As `modify`. */
    anonymise: (id: string, request: AnonymiseRequest = {}, options?: CallOptions) =>
      now(id, 'anonymize', request, options),

    anonymiseJob: (id: string, request: AnonymiseRequest = {}, options?: CallOptions) =>
      asJob(id, 'anonymize', request, options),
  };
}

/** Modify, anonymise and transcode one instance: the result is returned, and not stored. */
export function createInstanceModifyCalls(context: CallContext) {
  const { transport } = context;

  async function run(id: string, act: Act, json: object, options?: CallOptions): Promise<ByteStream> {
    const where = target(path`/instances/${id}/${act}`);
    return transport.dicom({ method: 'POST', target: where, json, idempotent: true, options });
  }

  return {
    modify: (id: string, request: ModifyRequest, options?: CallOptions) => run(id, 'modify', request, options),

    anonymise: (id: string, request: AnonymiseRequest = {}, options?: CallOptions) =>
      run(id, 'anonymize', request, options),

    /**
     * The instance in another transfer syntax, with its own UIDs. A file that is already in it is returned unchanged.
     * Before 1.12.2 this uses `modify`, which may add elements that describe the compression (e.g. Derivation Description).
     *
     * @throws OrthancError `bad-request`, `server-error` or `unsupported` if Orthanc cannot write this transfer syntax
     */
    async transcode(id: string, transferSyntaxUid: string, options?: CallOptions): Promise<ByteStream> {
      const { transcodeFile } = await context.features(options);
      if (transcodeFile) {
        const where = target(path`/instances/${id}/file`, { transcode: transferSyntaxUid });
        return transport.fastDicom(where, options);
      }
      const identifiers = ['PatientID', 'StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'];
      return run(id, 'modify', { Keep: identifiers, Force: true, Transcode: transferSyntaxUid }, options);
    },
  };
}

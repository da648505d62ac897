import type { System } from './schema.ts';

/** What this server can do, read from its `/system`. Version numbers are Orthanc's, in brackets its API version. */
export interface Features {
  version: string;
  /** `ApiVersion`, or 0 if the server does not report it. */
  apiVersion: number;
  /** Instances and metadata of many resources in one request: `/tools/bulk-content` (1.9.4 [13]). */
  bulkContent: boolean;
  /** `/attachments/{name}/info` (1.10.0 [16]). */
  attachmentInfo: boolean;
  /** Name of the query argument for computed tags (1.11.0 [17], renamed in 1.12.4 [24]); undefined if there is none. */
  requestedTags: 'requestedTags' | 'requested-tags' | undefined;
  /** Asynchronous `/modalities/{name}/move` (1.11.1 [18]). */
  asynchronousMove: boolean;
  /** Labels (1.12.0 [20]), if the database supports them. */
  labels: boolean;
  /** `/instances/{id}/file?transcode=` (1.12.2 [22]). */
  transcodeFile: boolean;
  /** `DELETE /jobs/{id}` (1.12.2 [22]). */
  deleteJob: boolean;
  /** `/changes?type=` is supported (1.12.5 [26], if the database does); older servers ignore it silently. */
  changesTypeFilter: boolean;
  /** `/tools/find` with `OrderBy`, `ParentStudy`, `MetadataQuery` and `ResponseContent` (1.12.5 [26]). */
  extendedFind: boolean;
  /** `/tools/count-resources` (1.12.5 [26]). */
  countResources: boolean;
  /** C-GET as requestor, `/modalities/{name}/get` (1.12.6 [27]). */
  dicomGet: boolean;
  /** Whether writes are checked against the revision (`If-Match`): `CheckRevisions` in the configuration. */
  checksRevisions: boolean;
  /** Responds with 403 or 405 to every change (`ReadOnly`, 1.12.5). */
  readOnly: boolean;
}

export function detectFeatures(system: System): Features {
  const api = system.ApiVersion ?? 0;
  return {
    version: system.Version,
    apiVersion: api,
    bulkContent: api >= 13,
    attachmentInfo: api >= 16,
    requestedTags: api >= 24 ? 'requested-tags' : api >= 17 ? 'requestedTags' : undefined,
    asynchronousMove: api >= 18,
    labels: system.HasLabels ?? false,
    transcodeFile: api >= 22,
    deleteJob: api >= 22,
    changesTypeFilter: system.Capabilities?.HasExtendedChanges ?? false,
    extendedFind: system.Capabilities?.HasExtendedFind ?? false,
    countResources: api >= 26,
    dicomGet: api >= 27,
    checksRevisions: system.CheckRevisions ?? false,
    readOnly: system.ReadOnly ?? false,
  };
}

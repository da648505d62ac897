import type { CallContext, Level } from '../call-context.ts';
import type { CallOptions } from '../http/transport.ts';
import { createArchiveCalls } from './archive-calls.ts';
import { createAttachmentCalls } from './attachment-calls.ts';
import {
  createInstanceHierarchy,
  createPatientHierarchy,
  createSeriesHierarchy,
  createStudyHierarchy,
} from './hierarchy-calls.ts';
import { createInstanceCalls } from './instance-calls.ts';
import { readInstanceFile } from './instance-file.ts';
import type { InstanceFileOptions } from './instance-file.ts';
import { createLabelCalls } from './label-calls.ts';
import { createMetadataCalls } from './metadata-calls.ts';
import { createInstanceModifyCalls, createModifyCalls } from './modify-calls.ts';
import { readMany } from './read-many.ts';
import { createResourceCalls } from './resource-calls.ts';
import type { ResourceOf } from './resource-calls.ts';
import { createStatisticsCalls } from './statistics.ts';
import { createContainerTagCalls } from './tag-calls.ts';

/** Calls that all four levels have. */
function createCommonCalls<L extends Level>(context: CallContext, level: L) {
  return {
    ...createResourceCalls(context, level),
    ...createMetadataCalls(context, level),
    ...createAttachmentCalls(context, level),
    ...createLabelCalls(context, level),
    ...createStatisticsCalls(context, level),
    /** Several by their ids, in any order and few requests; those that do not exist are omitted. */
    many: async (ids: readonly string[], options?: CallOptions): Promise<ResourceOf[L][]> =>
      readMany(context, level, ids, options),
  };
}

/** Calls that patients, studies and series have. */
function createContainerCalls<L extends Exclude<Level, 'instances'>>(context: CallContext, level: L) {
  return {
    ...createCommonCalls(context, level),
    ...createContainerTagCalls(context, level),
    ...createArchiveCalls(context, level),
    ...createModifyCalls(context, level),
  };
}

export function createPatientCalls(context: CallContext) {
  return { ...createContainerCalls(context, 'patients'), ...createPatientHierarchy(context) };
}

export function createStudyCalls(context: CallContext) {
  return { ...createContainerCalls(context, 'studies'), ...createStudyHierarchy(context) };
}

export function createSeriesCalls(context: CallContext) {
  return { ...createContainerCalls(context, 'series'), ...createSeriesHierarchy(context) };
}

export function createInstancesCalls(context: CallContext) {
  return {
    ...createCommonCalls(context, 'instances'),
    ...createInstanceHierarchy(context),
    ...createInstanceCalls(context),
    ...createInstanceModifyCalls(context),
    /** The DICOM file; the same as `instanceFile` of the client. */
    file: async (id: string, options?: InstanceFileOptions) => readInstanceFile(context, id, options),
  };
}

export type PatientCalls = ReturnType<typeof createPatientCalls>;
export type StudyCalls = ReturnType<typeof createStudyCalls>;
export type SeriesCalls = ReturnType<typeof createSeriesCalls>;
export type InstancesCalls = ReturnType<typeof createInstancesCalls>;

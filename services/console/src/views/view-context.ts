import type { Config } from '@dicom-dispatch/core';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import type { Redis } from '@dicom-dispatch/runtime';
import type { SourceLookup } from '../source/source-lookup.ts';

/** Dependencies of the read models; the console and the command line both have them. */
export interface ViewContext {
  /** The configuration as it is now. */
  readonly config: () => Config;
  readonly redis: Redis;
  readonly operations: PipelineContext;
  readonly lookup: SourceLookup;
}

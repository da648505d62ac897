import { z } from 'zod';
import { studyTemplate } from '../template/index.ts';

/** The option `marker` of targets with files: a file written last, for programs that wait for complete studies. */
export const markerOption = z
  .strictObject({
    path: studyTemplate
      .default('{StudyInstanceUID}/complete.json')
      .describe('template of its path, with tags of the study; must contain {StudyInstanceUID}'),
    content: z
      .enum(['manifest', 'empty'])
      .default('manifest')
      .describe('manifest = JSON with every instance and its path; empty = a file of no bytes'),
    whenPartial: z
      .boolean()
      .default(false)
      .describe('also write it if instances are quarantined; the manifest then lists them as missing'),
  })
  .optional()
  .describe('completion marker, written after all instances have arrived; default: none');
export type MarkerOption = NonNullable<z.output<typeof markerOption>>;

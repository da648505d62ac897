import { z } from 'zod';

/**
 * Only the fields that are read are required in Orthanc's responses; all others are kept. A field that is not an id,
 * and has an unexpected type, counts as absent: one unusual value must not fail a list of thousands.
 */

export const tagsSchema = z.record(z.string(), z.unknown()).transform((tags) => {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(tags)) {
    // A sequence among main tags (1.11.1 and later) is not text; use `tags()` to read it.
    if (typeof value === 'string') texts[name] = value;
  }
  return texts;
});

export const idSchema = z.string().min(1);
export const idsSchema = z.array(idSchema);

const flag = z.boolean().optional().catch(undefined);
const text = z.string().optional().catch(undefined);
const count = z.number().nullish().catch(undefined);
const labels = z.array(z.string()).optional().catch(undefined);

export const patientSchema = z.looseObject({
  ID: idSchema,
  Type: z.literal('Patient'),
  IsStable: flag,
  IsProtected: flag,
  LastUpdate: text,
  MainDicomTags: tagsSchema,
  Studies: idsSchema.default([]),
  Labels: labels,
});
export type Patient = z.output<typeof patientSchema>;

export const studySchema = z.looseObject({
  ID: idSchema,
  Type: z.literal('Study'),
  IsStable: flag,
  LastUpdate: text,
  MainDicomTags: tagsSchema,
  PatientMainDicomTags: tagsSchema.default({}),
  ParentPatient: idSchema,
  Series: idsSchema.default([]),
  RequestedTags: tagsSchema.optional(),
  Labels: labels,
});
export type Study = z.output<typeof studySchema>;

export const seriesSchema = z.looseObject({
  ID: idSchema,
  Type: z.literal('Series'),
  IsStable: flag,
  LastUpdate: text,
  /** `Complete`, `Missing`, `Inconsistent` or `Unknown`, by the number of images that the modality announced. */
  Status: text,
  ExpectedNumberOfInstances: count,
  MainDicomTags: tagsSchema,
  ParentStudy: idSchema,
  Instances: idsSchema.default([]),
  Labels: labels,
});
export type Series = z.output<typeof seriesSchema>;

export const instanceSchema = z.looseObject({
  ID: idSchema,
  Type: z.literal('Instance'),
  FileSize: z.number().int().nonnegative(),
  FileUuid: z.string().max(64).optional(),
  IndexInSeries: count,
  MainDicomTags: tagsSchema,
  ParentSeries: idSchema,
  Labels: labels,
});
export type Instance = z.output<typeof instanceSchema>;

export type Metadata = z.output<typeof tagsSchema>;

export const changeSchema = z.looseObject({
  Seq: z.number().int().nonnegative(),
  ChangeType: z.string(),
  ResourceType: z.string(),
  ID: idSchema,
  Date: z.string(),
});
export type Change = z.output<typeof changeSchema>;

export const changesSchema = z.object({
  Changes: z.array(changeSchema),
  Done: z.boolean(),
  Last: z.number().int(),
});
/** A page of the change feed. `Last` of an empty page is the requested `since`, not the last change of the server. */
export type Changes = z.output<typeof changesSchema>;

export const systemSchema = z.looseObject({
  Version: z.string(),
  ApiVersion: z.number().int().optional(),
  Name: z.string().optional(),
  DicomAet: z.string().optional(),
  DicomPort: z.number().int().optional(),
  HttpPort: z.number().int().optional(),
  DatabaseVersion: z.number().int().optional(),
  DatabaseServerIdentifier: z.string().optional(),
  CheckRevisions: z.boolean().optional(),
  OverwriteInstances: z.unknown().optional(),
  MaximumStorageMode: z.string().optional(),
  ReadOnly: z.boolean().optional(),
  HasLabels: z.boolean().optional(),
  Capabilities: z
    .looseObject({ HasExtendedChanges: z.boolean().optional(), HasExtendedFind: z.boolean().optional() })
    .optional(),
});
export type System = z.output<typeof systemSchema>;

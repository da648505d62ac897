import { z } from 'zod';
import { isLossySyntax } from '../model/lossy-syntaxes.ts';
import { keywords } from '../rules/keywords.ts';
import { nearestKeyword } from '../rules/nearest-keyword.ts';
import { secret } from './secret.ts';

export const pseudonymsConfig = z.strictObject({
  secret: secret.describe(
    'key from which pseudonyms and new UIDs are derived. Keep it secret, since it links them to patients; if it changes, all pseudonyms change',
  ),
  prefix: z
    .string()
    .regex(/^[A-Z0-9-]{0,16}$/, 'up to 16 capital letters, digits and hyphens')
    .default('P-')
    .describe('prefix of the pseudonymous Patient ID'),
});
export type PseudonymsConfig = z.output<typeof pseudonymsConfig>;

const keyword = z
  .string()
  .regex(
    /^([A-Z][A-Za-z0-9]{1,63}|[0-9A-Fa-f]{4},?[0-9A-Fa-f]{4})$/,
    'a tag is a keyword (PS3.6), e.g. PatientID, or a number, e.g. 0010,0020',
  )
  .refine((name) => keywords.has(name) || /^[0-9A-Fa-f]{4},?[0-9A-Fa-f]{4}$/.test(name), {
    error: ({ input }) => {
      const nearest = nearestKeyword(String(input));
      const remedy =
        nearest === undefined ? 'give a tag that is not in PS3.6 by its number' : `the nearest is ${nearest}`;
      return `"${String(input)}" is not a DICOM keyword; ${remedy}`;
    },
  });

const uid = z
  .string()
  .regex(/^[0-9]+(\.[0-9]+)+$/, 'a UID has digits and dots')
  .max(64);

/** Keywords that identify, and that only `uids` and the pseudonyms may change. */
const identifiers = new Set(['StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID']);

/** How instances are changed on their way; done by the source's engine, one instance at a time. The stored ones stay. */
export const transformConfig = z
  .strictObject({
    description: z.string().max(200).optional().describe('description shown in the console'),
    anonymise: z
      .strictObject({
        profile: z
          .enum(['2008', '2017c', '2021b', '2023b'])
          .optional()
          .describe(
            'edition of the Basic Application Level Confidentiality Profile (PS3.15 table E.1-1) that Orthanc applies; default: the latest that it supports. The edition 2024e is applied in addition, at every depth',
          ),
        keepPrivateTags: z
          .boolean()
          .default(false)
          .describe('keep private tags, although they may identify the patient'),
        pseudonyms: z
          .boolean()
          .default(true)
          .describe(
            'replace Patient ID, name and accession number by keyed pseudonyms, stable for each patient; false leaves them empty',
          ),
      })
      .optional()
      .describe('de-identify instances'),
    set: z.record(keyword, z.string().max(1024)).default({}).describe('tags to set, with their values'),
    remove: z.array(keyword).default([]).describe('tags to remove'),
    copy: z.record(keyword, keyword).default({}).describe('tags to set to the value of another tag of the instance'),
    keep: z
      .array(keyword)
      .default([])
      .describe('tags that the anonymisation keeps, although the profile changes or removes them'),
    removePrivateTags: z.boolean().default(false).describe('remove private tags'),
    uids: z
      .enum(['keep', 'new'])
      .optional()
      .describe(
        'keep the UIDs, or replace each by a new UID that is always the same; default: keep; new with anonymise',
      ),
    transferSyntax: uid
      .optional()
      .describe('UID of the lossless transfer syntax to which instances with pixel data are transcoded'),
  })
  .superRefine((transform, context) => {
    const fixed = [...Object.keys(transform.set), ...Object.keys(transform.copy), ...transform.remove];
    for (const name of fixed.filter((one) => identifiers.has(one))) {
      context.addIssue({ code: 'custom', message: `${name} cannot be set, copied or removed: say uids: keep or new` });
    }
    if (transform.anonymise && transform.transferSyntax !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['transferSyntax'],
        message:
          'Orthanc cannot anonymise and transcode an instance in one go: leave transferSyntax out, or set IngestTranscoding in Orthanc',
      });
    }
    if (transform.transferSyntax !== undefined && isLossySyntax(transform.transferSyntax)) {
      context.addIssue({
        code: 'custom',
        path: ['transferSyntax'],
        message:
          'lossy compression makes another instance of each, with a SOP Instance UID of its own (PS3.3 section C.12.4.1), which could not be followed: choose a lossless transfer syntax, or compress in Orthanc on arrival (IngestTranscoding)',
      });
    }
    if (transform.keep.length > 0 && !transform.anonymise) {
      context.addIssue({ code: 'custom', path: ['keep'], message: 'keep is for anonymise: nothing else removes tags' });
    }
  });
export type TransformConfig = z.output<typeof transformConfig>;

/** Whether instances leave with other UIDs than they have in the source. */
export function givesNewUids(transform: TransformConfig): boolean {
  return transform.uids === 'new' || (transform.uids === undefined && transform.anonymise !== undefined);
}

/** Whether it needs the secret of the pseudonyms. */
export function needsSecret(transform: TransformConfig): boolean {
  return givesNewUids(transform) || transform.anonymise?.pseudonyms === true;
}

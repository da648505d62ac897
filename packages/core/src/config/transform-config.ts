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

/** A keyword of PS3.6, or a tag as `0010,0020`. */
export const keyword = z
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

/** Identifying attributes, which only `uids` and the pseudonyms may change. */
const identifiers: ReadonlyMap<string, string> = new Map([
  ['StudyInstanceUID', '0020000d'],
  ['SeriesInstanceUID', '0020000e'],
  ['SOPInstanceUID', '00080018'],
]);

/** Its SOP class and its pixel data identify an instance; the pixel data may be removed. */
const sopClass: ReadonlyMap<string, string> = new Map([['SOPClassUID', '00080016']]);
const pixels: ReadonlyMap<string, string> = new Map([
  ['PixelData', '7fe00010'],
  ['FloatPixelData', '7fe00008'],
  ['DoubleFloatPixelData', '7fe00009'],
]);

/** Elements of commands (group 0000), of the file meta information (0002), and delimiters (FFFE): not of a data set. */
const outside = new Set(
  `
  CommandGroupLength AffectedSOPClassUID RequestedSOPClassUID CommandField MessageID MessageIDBeingRespondedTo
  MoveDestination Priority CommandDataSetType Status OffendingElement ErrorComment ErrorID AffectedSOPInstanceUID
  RequestedSOPInstanceUID EventTypeID AttributeIdentifierList ActionTypeID NumberOfRemainingSuboperations
  NumberOfCompletedSuboperations NumberOfFailedSuboperations NumberOfWarningSuboperations
  MoveOriginatorApplicationEntityTitle MoveOriginatorMessageID FileMetaInformationGroupLength
  FileMetaInformationVersion MediaStorageSOPClassUID MediaStorageSOPInstanceUID TransferSyntaxUID
  ImplementationClassUID ImplementationVersionName SourceApplicationEntityTitle SendingApplicationEntityTitle
  ReceivingApplicationEntityTitle SourcePresentationAddress SendingPresentationAddress ReceivingPresentationAddress
  RTVMetaInformationVersion RTVCommunicationSOPClassUID RTVCommunicationSOPInstanceUID RTVSourceIdentifier
  RTVFlowIdentifier RTVFlowRTPSamplingRate RTVFlowActualFrameDuration PrivateInformationCreatorUID
  PrivateInformation Item ItemDelimitationItem SequenceDelimitationItem`
    .trim()
    .split(/\s+/),
);

function isOneOf(names: ReadonlyMap<string, string>, name: string): boolean {
  return names.has(name) || [...names.values()].includes(name.replace(',', '').toLowerCase());
}

/** Why a transform cannot change an attribute; undefined if it can. */
function whyFixed(name: string): string | undefined {
  if (isOneOf(identifiers, name)) return `${name} cannot be set, copied or removed: say uids: keep or new`;
  if (isOneOf(sopClass, name)) return `${name} cannot be set, copied or removed: it defines what the instance is`;
  const isOutside = outside.has(name) || /^(000[0-7]|fffe|ffff|[0-9a-f]{4},?0000$)/i.test(name);
  return isOutside ? `${name} cannot be set, copied or removed: it is not part of a data set` : undefined;
}

/**
 * How instances are transformed; executed by the source's engine, one instance at a time. Stored instances are unchanged.
 */
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
    const written = [...Object.keys(transform.set), ...Object.keys(transform.copy)];
    const messages = [
      ...[...written, ...transform.remove].flatMap((name) => whyFixed(name) ?? []),
      ...written
        .filter((name) => isOneOf(pixels, name))
        .map((name) => `${name} cannot be set or copied: its values are no texts`),
    ];
    for (const message of messages) context.addIssue({ code: 'custom', message });
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

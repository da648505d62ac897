import { TRANSFER_SYNTAX } from 'dicom-dimse';
import { z } from 'zod';

const keywords = Object.keys(TRANSFER_SYNTAX) as [keyof typeof TRANSFER_SYNTAX];

const error = `a transfer syntax is a UID or one of ${keywords.join(', ')}`;

/** A transfer syntax in a configuration file: a keyword, or a UID if there is none; stored as a UID. */
export const transferSyntax = z
  .union([z.enum(keywords), z.string().regex(/^[0-2](\.(0|[1-9]\d*)){1,31}$/, error)], { error })
  .transform((text): string => (isKeyword(text) ? TRANSFER_SYNTAX[text] : text));

function isKeyword(text: string): text is keyof typeof TRANSFER_SYNTAX {
  return Object.hasOwn(TRANSFER_SYNTAX, text);
}

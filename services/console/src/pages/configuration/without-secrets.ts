import type { OptionField } from '@dicom-dispatch/core';
import { omitSecrets } from '@dicom-dispatch/operations';

type Plain = Readonly<Record<string, unknown>>;

/** Initial values of a duplicate, without its secrets, which must be entered again. */
export function withoutSecrets(fields: readonly OptionField[], values: Plain): Plain {
  const left: Record<string, unknown> = { ...values };
  for (const field of fields) {
    const { name, kind } = field;
    const value = left[name];
    if (kind === 'secret') delete left[name];
    else if (kind === 'yaml') left[name] = omitSecrets(field, value);
    else if (kind === 'section' && typeof value === 'object' && value !== null)
      left[name] = withoutSecrets(field.fields, value as Plain);
  }
  return left;
}

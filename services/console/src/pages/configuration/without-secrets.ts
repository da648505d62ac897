import type { OptionField } from '@dicom-dispatch/core';
import { shownHeaders } from '@dicom-dispatch/operations';

type Plain = Readonly<Record<string, unknown>>;

/** Initial values of a duplicate: its secrets must be entered again, and none is shown as stored that is not. */
export function withoutSecrets(fields: readonly OptionField[], values: Plain): Plain {
  const left: Record<string, unknown> = { ...values };
  for (const { name, kind, fields: inner } of fields) {
    const value = left[name];
    if (kind === 'secret') delete left[name];
    else if (name === 'headers') left[name] = shownHeaders(value);
    else if (kind === 'section' && typeof value === 'object' && value !== null)
      left[name] = withoutSecrets(inner, value as Plain);
  }
  return left;
}

import { DispatchError } from '@dicom-dispatch/core';

/**
 * Meaning of a failure reason of a STOW-RS response for its instance (PS3.18 annex I, PS3.7 annex C, PS3.4 table B.2-1).
 *
 * - `verify`: the target reports that it has the instance nevertheless; a search decides
 * - `refused`: the target will never accept the instance
 * - `later`: the target could not store the instance now; `target-full` if it reports that it is out of resources
 * - `stop`: the response would be the same for every instance
 */
export type ReasonMeaning =
  | { readonly kind: 'verify'; readonly warning: string }
  | { readonly kind: 'refused' | 'later' | 'stop'; readonly error: DispatchError };

/** 45070 and 45071 of Azure: not in the Standard, and not warnings although they begin with B. */
const alreadyThere = 0xb00e;
const beingChanged = 0xb00f;

export function reasonMeaning(reason: number | undefined): ReasonMeaning {
  const hex = reason === undefined ? 'none' : hexOf(reason);
  if (reason === undefined) return later('without a reason');
  switch (reason) {
    case 0x0111:
    case alreadyThere:
      return { kind: 'verify', warning: `the target already had it (${hex}); its content was not compared` };
    case beingChanged:
      return later(`another request is changing it (${hex})`);
    case 0xb000:
    case 0xb006:
    case 0xb007:
      return { kind: 'verify', warning: warningText(reason) };
    case 0x0122:
      return refused('instance-unsupported', `it does not support this SOP class (${hex})`);
    case 0xc122:
      return refused('instance-unsupported', `it does not support this transfer syntax (${hex})`);
    case 0x0112:
    case 0x0117:
      return refused('instance-refused', `it does not know or accept the instance (${hex})`);
    case 0x0124:
    case 0x0214:
      return {
        kind: 'stop',
        error: new DispatchError('target-unauthorized', `the target denies permission to store (${hex})`),
      };
    case 0x0110:
      return later(`it failed to process the instance (${hex})`);
    case 0x0213:
      return full(hex);
  }
  if (reason >> 8 === 0xa7) return full(hex);
  if (reason >> 8 === 0xa9) return refused('instance-refused', `the data set does not match its SOP class (${hex})`);
  if (reason >> 12 === 0xc) return refused('instance-refused', `it cannot understand the instance (${hex})`);
  if (reason >= 0x0210 && reason <= 0x0212)
    return refused('instance-refused', `it reports an invalid request (${hex})`);
  return later(`it reported the reason ${hex}`);
}

/** A warning reason (0008,1196) of an instance that was stored, for the record of the delivery. */
export function warningText(reason: number): string {
  const text = new Map([
    [0xb000, 'coercion of data elements'],
    [0xb006, 'elements discarded'],
    [0xb007, 'data set does not match its SOP class'],
  ]).get(reason);
  return text ? `${text} (${hexOf(reason)})` : `warning ${hexOf(reason)}`;
}

function refused(code: 'instance-refused' | 'instance-unsupported', text: string): ReasonMeaning {
  return { kind: 'refused', error: new DispatchError(code, `the target rejects this instance: ${text}`) };
}

function later(text: string): ReasonMeaning {
  return {
    kind: 'later',
    error: new DispatchError('instance-failed', `the target did not store an instance: ${text}`),
  };
}

function full(hex: string): ReasonMeaning {
  return {
    kind: 'later',
    error: new DispatchError('target-full', `the target did not store an instance: it is out of resources (${hex})`, {
      remedy: 'Check the log of the target, and free space there. Some targets report this reason for any failure.',
    }),
  };
}

function hexOf(reason: number): string {
  return reason.toString(16).toUpperCase().padStart(4, '0');
}

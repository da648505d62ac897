import type { Config, Problem } from '@dicom-dispatch/core';
import { whyUnfit } from './fits-vr.ts';
import { vrOf } from './vr-of.ts';

/** Values of `set` that their VR does not allow: the transform would reject every instance. */
export function transformWarnings({ transforms }: Pick<Config, 'transforms'>): Problem[] {
  return Object.entries(transforms).flatMap(([transform, { set }]) =>
    Object.entries(set).flatMap(([tag, value]): Problem[] => {
      const reason = whyUnfit(vrOf({}, tag), value);
      if (reason === undefined) return [];
      const message = `would have ${reason}: every instance would be rejected; correct the value`;
      return [{ path: ['transforms', transform, 'set', tag], message }];
    }),
  );
}

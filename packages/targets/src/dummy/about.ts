import type { TargetAbout } from '@dicom-dispatch/core';
import type { DummyTarget } from './schema.ts';

/** Description of the type for forms, the JSON Schema and the example configuration. */
export const dummyAbout: TargetAbout<DummyTarget> = {
  displayName: 'Dummy',
  purpose: 'Accepts all instances and stores none: for trials and tests.',
  icon: 'M10 3h4M11 3v6l-6 11h14l-6-11V3M8 15h8',
  groups: { basic: ['delay', 'failureRate'], speed: ['connectDelay'] },
  example: {},
  help: 'docs/targets/dummy.md',
};

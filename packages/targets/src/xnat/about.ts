import type { TargetAbout } from '@dicom-dispatch/core';
import type { XnatTarget } from './schema.ts';

/** Description of the type for forms, the JSON Schema and the example configuration. */
export const xnatAbout: TargetAbout<XnatTarget> = {
  displayName: 'XNAT',
  purpose: 'Imports studies into a project of an XNAT.',
  icon: 'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c0-5 3-7 7-7s7 2 7 7M16 4a4 4 0 0 1 0 7M18 14c3 1 4 3 4 7',
  groups: { basic: ['url', 'project', 'subject', 'session'], security: ['auth', 'tls'], speed: ['maxParallel'] },
  example: { url: 'https://xnat.hospital.example', project: 'research' },
  help: 'docs/targets/xnat.md',
  info: ({ project, url, destination }) => `project ${project} at ${url}, ${destination}`,
};

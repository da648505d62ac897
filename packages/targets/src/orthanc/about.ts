import type { TargetAbout } from '@dicom-dispatch/core';
import type { OrthancTarget } from './schema.ts';

/** Description of the type for forms, the JSON Schema and the example configuration. */
export const orthancAbout: TargetAbout<OrthancTarget> = {
  displayName: 'Orthanc',
  purpose: 'Sends studies by REST to another Orthanc.',
  icon: 'M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01',
  groups: { basic: ['url'], security: ['auth', 'tls'], speed: ['maxParallel'] },
  example: { url: 'http://other-orthanc:8042' },
  help: 'docs/targets/orthanc.md',
  info: ({ url, auth, verify }) =>
    [url, auth.type !== 'none' && `${auth.type} login`, verify !== 'none' && `verified by ${verify}`]
      .filter(Boolean)
      .join(', '),
};

import type { TargetAbout } from '@dicom-dispatch/core';
import type { DicomwebTarget } from './schema.ts';

/** Description of the type for forms, the JSON Schema and the example configuration. */
export const dicomwebAbout: TargetAbout<DicomwebTarget> = {
  displayName: 'DICOMweb server',
  purpose: 'Sends studies by STOW-RS to a DICOMweb server.',
  icon: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18',
  groups: { basic: ['url'], security: ['auth', 'tls'], speed: ['maxParallel', 'batch'] },
  example: { url: 'https://pacs.hospital.example/dicom-web' },
  help: 'docs/targets/dicomweb.md',
  info: ({ url, auth, verify }) =>
    [url, auth.type !== 'none' && `${auth.type} login`, verify !== 'none' && `verified by ${verify}`]
      .filter(Boolean)
      .join(', '),
};

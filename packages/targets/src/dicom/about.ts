import type { TargetAbout } from '@dicom-dispatch/core';
import type { AnyDicomTarget } from './schema.ts';

/** Description of the type for forms, the JSON Schema and the example configuration. */
export const dicomAbout: TargetAbout<AnyDicomTarget> = {
  displayName: 'DICOM receiver',
  purpose: 'Sends studies by C-STORE to a PACS, an archive or a workstation.',
  icon: 'M3 4h18v12H3zM8 20h8M12 16v4M7 10h2l2-3 2 6 2-3h2',
  groups: {
    basic: ['host', 'port', 'calledAeTitle', 'callingAeTitle'],
    security: ['tls'],
    speed: ['maxParallel', 'maxPduLength', 'earlyByte'],
  },
  example: { host: 'pacs.hospital.example', calledAeTitle: 'PACS' },
  help: 'docs/targets/dicom.md',
  info: ({ calledAeTitle, host, port, tls, verify }) =>
    [`${calledAeTitle} at ${host}:${port}`, tls && 'TLS', verify !== 'none' && `verified by ${verify}`]
      .filter(Boolean)
      .join(', '),
};

export const dicomTlsAbout: TargetAbout<AnyDicomTarget> = {
  ...dicomAbout,
  displayName: 'DICOM receiver with TLS',
  purpose: 'A DICOM receiver that requires TLS.',
};

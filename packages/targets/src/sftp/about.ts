import type { TargetAbout } from '@dicom-dispatch/core';
import type { SftpTarget } from './schema.ts';

/** Description of the type for forms, the JSON Schema and the example configuration. */
export const sftpAbout: TargetAbout<SftpTarget> = {
  displayName: 'SFTP server',
  purpose: 'Copies DICOM files to a folder of a server by SFTP.',
  icon: 'M6 11h12v9H6zM8 11V8a4 4 0 0 1 8 0v3M12 15v2',
  groups: {
    basic: ['host', 'port', 'username', 'path', 'layout'],
    security: ['password', 'privateKey', 'passphrase', 'agent', 'hostKey', 'algorithms'],
    speed: ['maxParallel'],
  },
  example: {
    host: 'files.hospital.example',
    username: 'dispatch',
    privateKey: '${SFTP_KEY}',
    hostKey: '{ knownHosts: /etc/dicom-dispatch/known_hosts }',
    path: '/incoming',
  },
  help: 'docs/targets/sftp.md',
  info: ({ username, host, port, path }) => `${username}@${host}:${port}, ${path}`,
};

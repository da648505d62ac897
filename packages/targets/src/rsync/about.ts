import type { TargetAbout } from '@dicom-dispatch/core';
import type { RsyncTarget } from './schema.ts';

/** Description of the type for forms, the JSON Schema and the example configuration. */
export const rsyncAbout: TargetAbout<RsyncTarget> = {
  displayName: 'rsync server',
  purpose: 'Copies DICOM files to a server by rsync, over ssh or to an rsync daemon.',
  icon: 'M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5',
  groups: {
    basic: ['host', 'path', 'via', 'layout'],
    security: ['mode', 'directoryMode'],
    speed: ['maxParallel', 'compress', 'bandwidth', 'batchBytes'],
  },
  example: {
    host: 'files.hospital.example',
    path: '/srv/incoming',
    via: '{ type: ssh, username: dispatch, privateKey: "${SFTP_KEY}", hostKey: { knownHosts: /etc/dicom-dispatch/known_hosts } }',
  },
  help: 'docs/targets/rsync.md',
  info: ({ host, path, via }) =>
    via.type === 'ssh' ? `${via.username}@${host}:${path}, over ssh` : `${host}::${via.module}/${path}, rsync daemon`,
};

import type { TargetAbout } from '@dicom-dispatch/core';
import type { FolderTarget } from './schema.ts';

/** Description of the type for forms, the JSON Schema and the example configuration. */
export const folderAbout: TargetAbout<FolderTarget> = {
  displayName: 'Folder',
  purpose: 'Writes DICOM files into a folder of the dispatcher, or a share that is mounted there.',
  icon: 'M3 6h6l2 2h10v11H3z',
  groups: {
    basic: ['path', 'layout'],
    security: ['mode', 'directoryMode', 'owner', 'followLinks'],
    speed: ['maxParallel', 'fsync'],
  },
  example: { path: '/srv/archive' },
  help: 'docs/targets/folder.md',
  info: ({ path, verify }) => [path, verify !== 'none' && `verified by ${verify}`].filter(Boolean).join(', '),
};

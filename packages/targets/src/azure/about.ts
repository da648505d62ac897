import type { TargetAbout } from '@dicom-dispatch/core';
import type { AzureTarget } from './schema.ts';

/** Description of the type for forms, the JSON Schema and the example configuration. */
export const azureAbout: TargetAbout<AzureTarget> = {
  displayName: 'Azure Blob Storage',
  purpose: 'Stores instances as block blobs in a container of Azure Blob Storage.',
  icon: 'M4 7c0-2 16-2 16 0v10c0 2-16 2-16 0zM4 7c0 2 16 2 16 0',
  groups: {
    basic: ['account', 'container', 'endpoint', 'prefix', 'key'],
    security: ['accountKey', 'sasToken', 'entra', 'tls'],
    speed: ['maxParallel', 'blockSize'],
  },
  example: { account: 'radiology', container: 'images', accountKey: '${AZURE_KEY}' },
  help: 'docs/targets/azure.md',
  info: ({ account, container, prefix }) => `${container}${prefix === '' ? '' : `/${prefix}`} of ${account}`,
};

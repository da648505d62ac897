import { z } from 'zod';
import { listenAddress } from './listen-address.ts';
import { secret } from './secret.ts';

export const pushConfig = z.strictObject({
  listen: listenAddress
    .default('127.0.0.1:8083')
    .describe('where the router takes pushes from the plugin inside Orthanc; only when a source has a pushSecret'),
  tls: z
    .strictObject({
      cert: z.string().describe('file of our certificate, with those of intermediate authorities, PEM'),
      key: z.string().describe('file of its private key, PEM'),
      passphrase: secret.optional().describe('of the private key'),
    })
    .optional()
    .describe('take pushes over https; without it the secret is sent in the clear: keep it on one machine or network'),
});
export type PushConfig = z.output<typeof pushConfig>;

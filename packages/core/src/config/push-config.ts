import { z } from 'zod';
import { listenAddress } from './listen-address.ts';
import { secret } from './secret.ts';

export const pushConfig = z.strictObject({
  listen: listenAddress
    .default('127.0.0.1:8083')
    .describe(
      'HOST:PORT on which the router accepts pushes from the plugin inside Orthanc; only if a source has a pushSecret',
    ),
  tls: z
    .strictObject({
      cert: z.string().describe('PEM file with our certificate and its chain'),
      key: z.string().describe('PEM file with its private key'),
      passphrase: secret.optional().describe('passphrase of the private key'),
    })
    .optional()
    .describe(
      'accept pushes over https; without it the secret is sent unencrypted: use it on one machine or a private network only',
    ),
});

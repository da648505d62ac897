import { isAbsolute } from 'node:path';
import { z } from 'zod';

const fingerprint = z
  .string()
  .regex(/^SHA256:[A-Za-z0-9+/]{43}=?$/, 'a fingerprint is SHA256: and 43 characters, as `ssh-keygen -lf` prints it')
  .transform((text) => text.replace(/=$/, ''));

/** How the server is verified. Deliberately without a default. */
export const hostKeyOption = z
  .union(
    [
      z.strictObject({
        fingerprint: z
          .union([fingerprint.transform((one) => [one]), z.array(fingerprint).min(1)])
          .describe('SHA256 fingerprint of the host key, or a list of them'),
      }),
      z.strictObject({
        knownHosts: z
          .string()
          // The path is written into the ssh_config for rsync.
          .refine((path) => isAbsolute(path) && !/["\p{Cc}]/u.test(path), 'an absolute path without quotes')
          .describe('known_hosts file in OpenSSH format'),
      }),
      z.literal('insecure-any'),
    ],
    {
      error:
        'hostKey is { fingerprint: "SHA256:…" }, { knownHosts: "/path" } or, for trials only, insecure-any (accepts any server)',
    },
  )
  .describe('expected host key; insecure-any accepts any server, also that of an attacker');
export type HostKeyOption = z.output<typeof hostKeyOption>;

export const sshUser = z
  .string()
  .regex(
    /^[^\s\p{Cc}"'%#:/-][^\s\p{Cc}"'%#:/]{0,255}$/u,
    'a user name without spaces, quotes, colon, slash, # and %, not beginning with a hyphen',
  );

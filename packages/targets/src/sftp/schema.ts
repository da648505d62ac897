import {
  durationMs,
  hostName,
  minBytesPerSecondOption,
  portNumber,
  secret,
  sizeBytes,
  targetOptions,
} from '@dicom-dispatch/core';
import { z } from 'zod';
import { conflictOption } from '../conflict/index.ts';
import { markerOption } from '../marker/index.ts';
import { rememberPlaceOption } from '../place-mark/index.ts';
import { hostKeyOption, sshUser } from '../ssh/host-key-option.ts';
import { hiddenNames, instanceTemplate, uidTemplate } from '../template/index.ts';

const mode = z
  .string()
  .regex(/^0?[0-7]{3,4}$/, 'a mode is three or four octal digits in quotes, e.g. "0640"')
  .transform((text) => Number.parseInt(text, 8));

/** A folder of a server that is reached by SFTP. */
export const sftpTarget = z
  .strictObject({
    type: z.literal('sftp'),
    ...targetOptions,
    host: hostName.describe('host name or IP address of the server'),
    port: portNumber.default(22).describe('SSH port'),
    username: sshUser.describe('user name'),
    password: secret.optional().describe('password; also used for keyboard-interactive authentication'),
    privateKey: secret.optional().describe('private key in OpenSSH or PEM format: { file: /path/id_ed25519 }'),
    passphrase: secret.optional().describe('passphrase of the private key'),
    agent: z
      .union([z.literal(true), z.string().startsWith('/')])
      .optional()
      .describe('use an SSH agent: true = the agent of SSH_AUTH_SOCK, or the path of its socket'),
    hostKey: hostKeyOption,
    path: z
      .string()
      .min(1)
      .max(1024)
      .refine((path) => !path.includes('\0'), 'a path has no NUL')
      .transform((path) => path.replace(/(?<=.)\/+$/, ''))
      .describe('folder on the server, absolute or relative to the login directory; must exist'),
    layout: z
      .union([z.literal('flat'), instanceTemplate])
      .default(uidTemplate)
      .describe('template of the path of each instance in the folder, or flat for {SOPInstanceUID}.dcm'),
    maxParallel: z
      .int()
      .min(1)
      .max(32)
      .default(8)
      .describe('maximum files of one delivery sent in parallel over the connection'),
    existing: z
      .enum(['compare', 'overwrite'])
      .default('compare')
      .describe(
        'compare = existing files are read back: identical content is kept, other content is handled by onConflict; overwrite = files that existed when the delivery began are replaced without comparison',
      ),
    onConflict: conflictOption,
    rememberPlace: rememberPlaceOption(false),
    temporaryName: z
      .union([
        z.literal('none'),
        z
          .string()
          .regex(
            /^[\w.-]{0,40}\{id\}[\w.-]{0,40}$/,
            'letters, digits and . _ - with {id} in it, e.g. "dispatch-{id}.part", or none',
          ),
      ])
      .default(hiddenNames)
      .describe(
        'name of a file during its transfer; must contain {id}; for servers that refuse names with a leading dot; none = files are written under their final names, for servers that forbid renaming: partial files are then visible',
      ),
    algorithms: z
      .enum(['safe', 'old'])
      .default('safe')
      .describe(
        'old = also allow obsolete algorithms, for servers that offer no others: key exchange with SHA-1 or 1024 bits, CBC, DSA; a warning is logged when one is used',
      ),
    fsync: z.boolean().default(true).describe('fsync each file, if the server supports it (fsync@openssh.com)'),
    verify: z
      .enum(['none', 'size', 'content'])
      .default('size')
      .describe('check of each file before it is renamed to its final name: size, or content (read back and compare)'),
    mode: mode.optional().describe('permissions of files, octal; default: set by the server'),
    directoryMode: mode.optional().describe('permissions of created folders, octal; default: set by the server'),
    minFree: sizeBytes
      .default(100_000_000)
      .describe('minimum free space, if the server reports it (statvfs@openssh.com)'),
    connectTimeout: durationMs.default(15_000).describe('maximum time to connect and log in'),
    minBytesPerSecond: minBytesPerSecondOption,
    timeout: durationMs.default(60_000).describe('maximum wait for one response of the server; 0 = no limit'),
    marker: markerOption,
  })
  .refine((target) => target.password ?? target.privateKey ?? target.agent, {
    message: 'a login needs password, privateKey or agent',
    path: ['password'],
  })
  .refine((target) => !target.passphrase || target.privateKey, {
    message: 'passphrase needs privateKey',
    path: ['passphrase'],
  });
export type SftpTarget = z.output<typeof sftpTarget>;

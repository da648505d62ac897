import { durationMs, hostName, portNumber, secret, sizeBytes, targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { conflictOption } from '../conflict/index.ts';
import { minRateOption } from '../flow/min-rate.ts';
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
    host: hostName.describe('name or address of the server'),
    port: portNumber.default(22).describe('port of its ssh'),
    username: sshUser.describe('user to log in as'),
    password: secret.optional().describe('its password; also answers keyboard-interactive logins'),
    privateKey: secret.optional().describe('its private key in OpenSSH or PEM format: { file: /path/id_ed25519 }'),
    passphrase: secret.optional().describe('of the private key'),
    agent: z
      .union([z.literal(true), z.string().startsWith('/')])
      .optional()
      .describe('ask an ssh agent: true = that of SSH_AUTH_SOCK, or the path of its socket'),
    hostKey: hostKeyOption,
    path: z
      .string()
      .min(1)
      .max(1024)
      .refine((path) => !path.includes('\0'), 'a path has no NUL')
      .transform((path) => path.replace(/(?<=.)\/+$/, ''))
      .describe('the folder on the server, absolute or relative to where the login leads; it has to exist'),
    layout: z
      .union([z.literal('flat'), instanceTemplate])
      .default(uidTemplate)
      .describe('template of the path of each instance in the folder, or flat for {SOPInstanceUID}.dcm'),
    maxParallel: z
      .int()
      .min(1)
      .max(32)
      .default(8)
      .describe('files sent at the same time over the one connection, per delivery'),
    existing: z
      .enum(['compare', 'overwrite'])
      .default('compare')
      .describe(
        'compare = what is there is read back: the same content is left as it is, another is a matter of onConflict; overwrite = what was there when the delivery began is replaced without a look',
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
        'name of a file until it is whole, with {id} in it, for servers that refuse names with a leading dot; none = files are written under their own names, for servers that forbid to rename: then a part of a file may be seen',
      ),
    algorithms: z
      .enum(['safe', 'old'])
      .default('safe')
      .describe(
        'old = also those that are no longer safe, for servers that have no others: key exchange with SHA-1 or of 1024 bits, CBC, DSA; a warning is logged when one is used',
      ),
    fsync: z
      .boolean()
      .default(true)
      .describe('wait until each file is on disk, where the server offers it (fsync@openssh.com)'),
    verify: z
      .enum(['none', 'size', 'content'])
      .default('size')
      .describe('before a file gets its final name: ask for its size, or read it back and compare'),
    mode: mode.optional().describe('permissions of files, octal; default as the server sets them'),
    directoryMode: mode.optional().describe('permissions of created folders, octal; default as the server sets them'),
    minFree: sizeBytes
      .default(100_000_000)
      .describe('space to leave free, where the server tells it (statvfs@openssh.com)'),
    connectTimeout: durationMs.default(15_000).describe('longest time to connect and log in'),
    minRate: minRateOption,
    timeout: durationMs.default(60_000).describe('longest wait for one answer of the server; 0 = no limit'),
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

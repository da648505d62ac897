import { isAbsolute } from 'node:path';
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
import { instanceTemplate, parseTemplate, TemplateError, uidTemplate, usesLevel } from '../template/index.ts';

const permissions = z.string().regex(/^0?[0-7]{3,4}$/, 'a mode is three or four octal digits in quotes, e.g. "0640"');
/** Paths are written into our ssh_config: characters that could end a word or a line there are rejected. */
const absolute = (text: string): boolean => isAbsolute(text) && !/["\p{Cc}]/u.test(text);

/** An argument of the command: fixed text, or a template with tags of the study. */
const argument = z.string().superRefine((text, context) => {
  if (!text.includes('{')) return;
  try {
    const segments = parseTemplate(text);
    if (usesLevel(segments, 'instance') || usesLevel(segments, 'series')) {
      throw new TemplateError(
        'the command runs once for each study: tags of a series or an instance have no single value here',
      );
    }
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
});

const overSsh = z.strictObject({
  type: z.literal('ssh'),
  port: portNumber.default(22).describe('SSH port'),
  username: sshUser.describe('user name'),
  password: secret.optional().describe('password'),
  privateKey: secret.optional().describe('private key in OpenSSH format: { file: /path/id_ed25519 }'),
  passphrase: secret.optional().describe('passphrase of the private key'),
  agent: z
    .union([z.literal(true), z.string().refine(absolute, 'the path of a socket')])
    .optional()
    .describe('use an SSH agent: true = the agent of SSH_AUTH_SOCK, or the path of its socket'),
  hostKey: hostKeyOption,
  algorithms: z
    .enum(['safe', 'old'])
    .default('safe')
    .describe('old = also allow obsolete algorithms, for servers that offer no others; a warning is logged'),
  rsyncPath: z
    .string()
    .regex(/^(?!-)[\w./-]{1,255}$/, 'a path without spaces, not beginning with a hyphen')
    .optional()
    .describe('path of rsync on the server, if it is not on its PATH'),
});

const toDaemon = z.strictObject({
  type: z.literal('daemon'),
  port: portNumber.default(873).describe('port of the daemon'),
  module: z
    .string()
    .regex(/^[^\s/\0[\]-][^/\0[\]]{0,127}$/, 'the name of a module')
    .describe('module of the daemon'),
  username: sshUser
    .refine((name) => !name.includes('@'), 'a user of a daemon has no @ in its name')
    .optional()
    .describe('user name, if the module requires one'),
  password: secret.optional().describe('password'),
});

/** A folder of a server that is reached by rsync, over ssh or at a daemon. */
export const rsyncTarget = z
  .strictObject({
    type: z.literal('rsync'),
    ...targetOptions,
    host: hostName.describe('host name or IP address of the server'),
    via: z.discriminatedUnion('type', [overSsh, toDaemon]).describe('transport: over ssh, or to an rsync daemon'),
    path: z
      .string()
      .max(1024)
      .refine(
        (path) => !/[\0\r\n]|^-/.test(path) && !path.split('/').includes('..'),
        'a path has no NUL, no line breaks and no .., and does not begin with a hyphen',
      )
      .default('.')
      .describe('folder on the server, or in the module of a daemon; must exist'),
    layout: z
      .union([z.literal('flat'), instanceTemplate])
      .default(uidTemplate)
      .describe('template of the path of each instance in the folder, or flat for {SOPInstanceUID}.dcm'),
    partialDir: z
      .union([z.literal(false), z.string().regex(/^(?!\.{1,2}$)[\w.-]{1,100}$/, 'a name without slashes')])
      .default('.rsync-partial')
      .describe('folder for partial files, from which a transfer is resumed after a failure; false = restart files'),
    delayUpdates: z
      .boolean()
      .default(true)
      .describe('rename the files of a batch to their final names together, at its end'),
    onConflict: conflictOption,
    rememberPlace: rememberPlaceOption(false),
    compress: z.boolean().default(false).describe('compress during transfer: for slow links and uncompressed images'),
    mode: permissions.optional().describe('permissions of files, octal; default: set by the server'),
    directoryMode: permissions.optional().describe('permissions of created folders, octal; default: set by the server'),
    bandwidth: sizeBytes
      .refine((bytes) => bytes === 0 || bytes >= 1024, 'at least 1KiB, or 0')
      .default(0)
      .describe('maximum bytes per second of one delivery; 0 = no limit'),
    maxParallel: z.int().min(1).max(32).default(4).describe('maximum instances read from the source in parallel'),
    batchBytes: sizeBytes
      .refine((bytes) => bytes >= 1_000_000, 'at least 1MB')
      .default(1_000_000_000)
      .describe('approximate size of a batch; the spool holds up to two batches'),
    spool: z
      .string()
      .refine(absolute, 'an absolute path')
      .optional()
      .describe('local folder for the batches; default: the system folder for temporary files'),
    connectTimeout: durationMs.default(15_000).describe('maximum time to connect and log in'),
    timeout: durationMs
      .default(60_000)
      .refine((ms) => ms === 0 || ms >= 1000, 'at least 1s, or 0')
      .describe('maximum time without progress, in whole seconds; 0 = no limit'),
    minBytesPerSecond: minBytesPerSecondOption,
    marker: markerOption,
    onComplete: z
      .strictObject({
        command: z
          .string()
          .refine(absolute, 'an absolute path')
          .describe('program on this machine, run without a shell'),
        args: z
          .array(argument)
          .max(64)
          .default([])
          .describe('arguments; templates with tags of the study, such as {StudyInstanceUID}'),
        timeout: durationMs.default(60_000).describe('maximum run time'),
      })
      .optional()
      .describe('command to run after the study has arrived; an exit status other than 0 fails the delivery'),
  })
  .refine(({ bandwidth, minBytesPerSecond }) => bandwidth === 0 || bandwidth > minBytesPerSecond, {
    message: 'minBytesPerSecond is more than bandwidth allows',
    path: ['minBytesPerSecond'],
  })
  .refine(({ via }) => via.type !== 'ssh' || via.password || via.privateKey || via.agent, {
    message: 'a login over ssh needs password, privateKey or agent',
    path: ['via'],
  })
  .refine(({ via }) => via.type !== 'ssh' || !via.passphrase || (via.privateKey && !via.password), {
    message: 'passphrase needs privateKey, and no password beside it',
    path: ['via', 'passphrase'],
  })
  .refine(({ via }) => via.type !== 'daemon' || !via.password || via.username, {
    message: 'password needs username',
    path: ['via', 'username'],
  });
export type RsyncTarget = z.output<typeof rsyncTarget>;
export type ViaSsh = z.output<typeof overSsh>;

import { isAbsolute } from 'node:path';
import { durationMs, sizeBytes, targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { conflictOption } from '../conflict/index.ts';
import { markerOption } from '../marker/index.ts';
import { rememberPlaceOption } from '../place-mark/index.ts';
import { instanceTemplate, uidTemplate } from '../template/index.ts';

const mode = z
  .string()
  .regex(/^0?[0-7]{3,4}$/, 'a mode is three or four octal digits in quotes, e.g. "0640"')
  .transform((text) => Number.parseInt(text, 8));
const id = z.int().min(0).max(0xffff_fffe);

/** A folder of this machine, or a network share that is mounted there. */
export const folderTarget = z.strictObject({
  type: z.literal('folder'),
  ...targetOptions,
  path: z
    .string()
    .refine((path) => isAbsolute(path) && !path.includes('\0'), 'the path of the folder has to be absolute')
    .describe('the folder; it has to exist, so that a share that is not mounted is noticed'),
  layout: z
    .union([z.literal('flat'), instanceTemplate])
    .default(uidTemplate)
    .describe('template of the path of each instance in the folder, or flat for {SOPInstanceUID}.dcm'),
  maxParallel: z.int().min(1).max(64).default(8).describe('files written at the same time, per delivery'),
  fsync: z
    .boolean()
    .default(true)
    .describe('wait until each file is on disk before it counts as delivered; false for shares that do not fsync'),
  verify: z
    .enum(['none', 'size', 'content'])
    .default('size')
    .describe('before a file gets its final name: look at its size, or read it back and compare'),
  mode: mode.optional().describe('permissions of files, octal; default 0666 less the umask'),
  directoryMode: mode.optional().describe('permissions of created folders, octal; default 0777 less the umask'),
  owner: z
    .strictObject({
      uid: id.describe('numeric user id'),
      gid: id.describe('numeric group id'),
    })
    .optional()
    .describe('owner of files and created folders; needs the right to change owners'),
  onConflict: conflictOption,
  rememberPlace: rememberPlaceOption(true),
  followLinks: z
    .boolean()
    .default(false)
    .describe(
      'write through links in the folder that lead out of it; links to elsewhere in the folder are always followed',
    ),
  minFree: sizeBytes.default(100_000_000).describe('space to leave free: a delivery that would go below is not begun'),
  timeout: durationMs.default(60_000).describe('longest wait for one operation of the file system; 0 = no limit'),
  marker: markerOption,
});
export type FolderTarget = z.output<typeof folderTarget>;

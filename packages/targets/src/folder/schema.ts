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
    .describe('path of the folder; must exist, so that a share that is not mounted is detected'),
  layout: z
    .union([z.literal('flat'), instanceTemplate])
    .default(uidTemplate)
    .describe('template of the path of each instance in the folder, or flat for {SOPInstanceUID}.dcm'),
  maxParallel: z.int().min(1).max(64).default(8).describe('maximum files of one delivery written in parallel'),
  fsync: z
    .boolean()
    .default(true)
    .describe('fsync each file before it counts as delivered; false for shares that do not support fsync'),
  verify: z
    .enum(['none', 'size', 'content'])
    .default('size')
    .describe('check of each file before it is renamed to its final name: size, or content (read back and compare)'),
  mode: mode.optional().describe('permissions of files, octal; default: 0666 minus the umask'),
  directoryMode: mode.optional().describe('permissions of created folders, octal; default: 0777 minus the umask'),
  owner: z
    .strictObject({
      uid: id.describe('numeric user id'),
      gid: id.describe('numeric group id'),
    })
    .optional()
    .describe('owner of files and created folders; requires the permission to change owners'),
  onConflict: conflictOption,
  rememberPlace: rememberPlaceOption(true),
  followLinks: z
    .boolean()
    .default(false)
    .describe('follow symbolic links that lead out of the folder; links within the folder are always followed'),
  minFree: sizeBytes.default(100_000_000).describe('minimum free space; a delivery that would go below is not started'),
  timeout: durationMs.default(60_000).describe('maximum time of one file system operation; 0 = no limit'),
  marker: markerOption,
});
export type FolderTarget = z.output<typeof folderTarget>;

import { statfs } from 'node:fs/promises';

/** Magic numbers of file systems on disks of this host or in its memory (Linux, `statfs(2)`); overlayfs is that of containers. */
const localFileSystems: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x2fc12fc1, // ZFS
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
  0x01021994, // tmpfs
  0x794c7630, // overlayfs
]);

/**
 * Whether a folder is on a disk of this host or in its memory, as far as known; false on other platforms than Linux. A file system
 * that is mounted below the folder, or is beneath an overlayfs, is not checked.
 *
 * @throws the error of the file system when the folder cannot be read
 */
export async function isLocalFolder(folder: string): Promise<boolean> {
  const { type } = await statfs(folder);
  // Some platforms return the number with a sign.
  return process.platform === 'linux' && localFileSystems.has(type >>> 0);
}

export { BackupFileError, type BackupCounts, type BackupHead } from './backup-lines.ts';
export { makeBackup, type BackupOptions, type MadeBackup } from './make-backup.ts';
export { checkBackup } from './read-backup.ts';
export {
  restoreBackup,
  restoreConfiguration,
  type RestoredBackup,
  type RestoreOptions,
  type VersionName,
} from './restore-backup.ts';

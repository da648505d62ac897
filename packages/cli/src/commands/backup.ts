import type { Command } from 'commander';
import type { BackupCommandOptions, RestoreCommandOptions } from '../operate/backup.ts';
import { withConfig, withExamples, withJson } from './options.ts';

/** `backup` and `restore` of all state in Redis. */
export function addBackupCommands(program: Command): void {
  const backup = program
    .command('backup')
    .description('write all state in Redis into one file, also while services run; no secrets, no configuration')
    .argument('<file>', 'a gzip file; one of that name is replaced once the new one is complete')
    .option('--check', 'write nothing: read this file, and compare it with its digests')
    .action(async (file: string, options: BackupCommandOptions) => {
      const { backupNow } = await import('../operate/backup.ts');
      await backupNow(file, options);
    });
  withExamples(withJson(withConfig(backup)), [
    ['backup /backup/dispatch-$(date +%F).gz', 'every night, by cron'],
    ['backup /backup/dispatch-2026-03-01.gz --check', 'whether a copy can still be restored, and what is in it'],
  ]);
  const restore = program
    .command('restore')
    .description('put a backup into an empty Redis, while no service runs')
    .argument('<file>', 'what "dispatch backup" wrote')
    .option('--replace', 'remove what Redis has under redis.prefix first')
    .option('-y, --yes', 'do not ask')
    .action(async (file: string, options: RestoreCommandOptions) => {
      const { restoreNow } = await import('../operate/backup.ts');
      await restoreNow(file, options);
    });
  withExamples(withJson(withConfig(restore)), [
    ['restore /backup/dispatch-2026-03-01.gz', 'then start the services, a router first'],
    ['restore /backup/dispatch-2026-03-01.gz --replace', 'over data that are damaged, or of another time'],
  ]);
}
